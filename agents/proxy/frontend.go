package proxy

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"gantry/agents/internal/nft"
)

// key is the destination of packets to a service or host port.
type key struct {
	addr  netip.Addr
	proto uint8 // unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_SCTP
	port  uint16
}

func (k key) String() string {
	return netip.AddrPortFrom(k.addr, k.port).String() + "/" + protocolNames[k.proto]
}

var protocolNames = map[uint8]string{unix.IPPROTO_TCP: "tcp", unix.IPPROTO_UDP: "udp", unix.IPPROTO_SCTP: "sctp"}

func (k key) family() *nft.Family { return nft.FamilyOf(k.addr) }

// frontend says what the table does with packets to one key. Read-only once made.
type frontend struct {
	key   key
	owner string // a service: "namespace/name"; a pod: podName
	// cluster: key.addr is a cluster IP.
	cluster bool
	// chain chooses one of the slots: see chainName. Empty: there are none, and unserved is refuseChain or ignoreChain.
	chain    string
	unserved string
	// slots are the endpoints that the chain chooses from; a slot's number is its index.
	slots []netip.AddrPort
	// masq: the source address of clients outside of the cluster is replaced by this node's.
	masq bool
	// restricted: only clients of sources get through (loadBalancerSourceRanges); the packets of others are dropped.
	restricted bool
	// sources are networks without overlaps.
	sources []netip.Prefix
	// affinityID is that of the service's port (see affinityID); all frontends of one port have the same. 0: no client affinity.
	affinityID uint32
	// source is set where key.addr is a loopback address: it replaces the packets' source on their way to the pod.
	source netip.Addr
	// hairpin are the addresses of pods on this node among the slots: a pod may be chosen for its own packets.
	hairpin []netip.Addr
}
