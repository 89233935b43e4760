package proxy

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// key is what a packet to a service or host port is known by.
type key struct {
	addr  netip.Addr
	proto uint8 // unix.IPPROTO_TCP, unix.IPPROTO_UDP
	port  uint16
}

func (k key) String() string {
	proto := "tcp"
	if k.proto == unix.IPPROTO_UDP {
		proto = "udp"
	}
	return fmt.Sprintf("%s:%d/%s", k.addr, k.port, proto)
}

// frontend is what happens to packets to one key. Read-only once made.
type frontend struct {
	key   key
	owner string // a service: "namespace/name"; a pod: podName
	// cluster tells that key.addr is a cluster IP.
	cluster bool
	// chain picks one of the slots: see chainFor. Empty: nobody serves, and unserved is "refuse" or "ignore".
	chain    string
	unserved string
	// slots are the endpoints a chain may pick from, those on this node first.
	slots []netip.AddrPort
	// masq tells that a source outside of the cluster is replaced by this node's address.
	masq bool
	// sticky is the number by which the chain remembers clients; the frontends of one port of a service have the same. 0:
	// clients are not remembered.
	sticky uint32
	// source is set where key.addr is a loopback address: packets to it have this source on their way to the pod.
	source netip.Addr
	// hairpin are the slots' addresses on this node, which may meet themselves.
	hairpin []netip.Addr
}
