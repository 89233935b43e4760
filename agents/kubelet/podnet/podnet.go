// Package podnet gives a pod's sandbox its network by netlink: a veth pair from the node's bridge into the
// sandbox's network namespace, an address of the node's podCIDR, the default route. No program is run; it
// takes a few milliseconds.
//
// Inside, the link is eth0 with a /32 address and the bridge as gateway for everything, so that packets between two pods of
// one node pass the host's IP stack too: service addresses and network policies work there whether or not the host has
// br_netfilter.
//
// What is in use is kept in the kernel alone. The host's end is named gt<hash of the pod's uid>, and its alias is "<uid>
// <address>": what is in use can be listed after any crash, without entering a namespace. An address stays in
// use until its link is gone: by Teardown, or with the sandbox's namespace.
package podnet

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"

	"github.com/vishvananda/netlink"

	"gantry/agents/internal/bridge"
)

// ErrNoAddress is Address' answer for a namespace that has no pod network yet.
var ErrNoAddress = errors.New("the sandbox has no address")

// ErrFull: every address of the podCIDR is in use.
var ErrFull = errors.New("no address is free")

// Network makes and removes the networks of a node's pods. The zero value is ready; methods may be called at the same time.
type Network struct {
	mu       sync.Mutex // guards what follows
	last     netip.Addr
	reserved map[string]netip.Addr // by pod, until the kernel shows it
}

// Link is a pod's link as the host sees it.
type Link struct {
	Name string // "gt0f3a..."
	// PodUID and Address are those that Setup wrote on it; empty and not valid where Setup was interrupted.
	PodUID  string
	Address netip.Addr
	index   int
}

// EnsureBridge makes the node's bridge for its podCIDR, or what that lacks. Calling it again changes nothing.
func EnsureBridge(cidr netip.Prefix) error { return bridge.Ensure(cidr, 0) }

// Setup gives the sandbox whose process is pid the network of pod podUID, and returns its address. It makes the
// bridge where that is missing. A sandbox that has its network keeps it and its address; an incomplete one is made
// again. taken (may be nil) reports addresses that are in use beyond those List knows.
// The error is ErrFull when the podCIDR is used up.
func (n *Network) Setup(podUID string, pid int, cidr netip.Prefix, taken func(netip.Addr) bool) (netip.Addr, error) {
	addr, err := n.setup(podUID, pid, cidr, taken)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("setting up network of pod %s: %w", podUID, err)
	}
	return addr, nil
}

func (n *Network) setup(podUID string, pid int, cidr netip.Prefix, taken func(netip.Addr) bool) (netip.Addr, error) {
	if err := checkUID(podUID); err != nil {
		return netip.Addr{}, err
	}
	if err := bridge.Ensure(cidr, 0); err != nil {
		return netip.Addr{}, err
	}
	sb, err := open(pid)
	if err != nil {
		return netip.Addr{}, err
	}
	defer sb.close()
	links, err := List()
	if err != nil {
		return netip.Addr{}, err
	}
	if addr, err := sb.address(); err == nil && complete(links, podUID, addr) {
		return addr, nil
	}
	addr, err := n.reserve(podUID, cidr, taken)
	if err != nil {
		return netip.Addr{}, err
	}
	if err := connect(podUID, addr, sb, bridge.Gateway(cidr)); err != nil {
		_ = remove(LinkName(podUID)) // List has what is left, too
		return netip.Addr{}, err
	}
	n.forget(podUID)
	return addr, nil
}

// Reserve allocates the address that Setup will give a pod: that of its link, else a free one of cidr. Calling it again
// returns the same. The reservation ends with Teardown or this process. The error is ErrFull when the podCIDR is used up.
func (n *Network) Reserve(podUID string, cidr netip.Prefix, taken func(netip.Addr) bool) (netip.Addr, error) {
	err := errors.Join(checkUID(podUID), bridge.Check(cidr))
	if err != nil {
		return netip.Addr{}, err
	}
	return n.reserve(podUID, cidr, taken)
}

func (n *Network) reserve(podUID string, cidr netip.Prefix, taken func(netip.Addr) bool) (netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if a := n.reserved[podUID]; cidr.Contains(a) {
		return a, nil
	}
	links, err := List() // under the lock: a reservation is removed once its link is there
	if err != nil {
		return netip.Addr{}, err
	}
	for _, l := range links {
		if l.PodUID == podUID && cidr.Contains(l.Address) {
			return l.Address, nil
		}
	}
	others := map[netip.Addr]bool{}
	for uid, a := range n.reserved {
		others[a] = uid != podUID
	}
	addr, err := next(cidr, n.start(links), func(a netip.Addr) bool {
		return others[a] || inUse(links, a) || (taken != nil && taken(a))
	})
	if err != nil {
		return netip.Addr{}, fmt.Errorf("allocating an address of %s: %w", cidr, err)
	}
	if n.reserved == nil {
		n.reserved = map[string]netip.Addr{}
	}
	n.reserved[podUID], n.last = addr, addr
	return addr, nil
}

// forget removes a reservation.
func (n *Network) forget(podUID string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.reserved, podUID)
}

func checkUID(podUID string) error {
	if podUID == "" || strings.ContainsAny(podUID, " \n") || len(podUID) > 128 {
		return fmt.Errorf("uid %q cannot be a pod's", podUID)
	}
	return nil
}

// Address reads the address of the sandbox whose process is pid; ErrNoAddress where it has none.
func Address(pid int) (netip.Addr, error) {
	sb, err := open(pid)
	if err != nil {
		return netip.Addr{}, err
	}
	defer sb.close()
	return sb.address()
}

// Teardown removes the pod's link, and with it its end in the sandbox, and the reservation of its address. An absent link is no error.
func (n *Network) Teardown(podUID string) error {
	err := Teardown(podUID)
	if err == nil {
		n.forget(podUID)
	}
	return err
}

// Teardown removes the pod's link for a process without a Network.
func Teardown(podUID string) error { return remove(LinkName(podUID)) }

// Clean removes every pod's link and the bridge, for `gantry down`.
func Clean() error {
	links, err := List()
	for _, l := range links {
		err = errors.Join(err, remove(l.Name))
	}
	return errors.Join(err, bridge.Remove())
}

// LinkName is the name of the host's end of a pod's link: at most 15 bytes, the kernel's limit.
func LinkName(podUID string) string {
	sum := sha256.Sum256([]byte(podUID))
	return bridge.PortPrefix + hex.EncodeToString(sum[:6])
}

// List returns the pods' links of this node.
func List() ([]Link, error) {
	all, err := netlink.LinkList()
	for try := 0; errors.Is(err, netlink.ErrDumpInterrupted) && try < 5; try++ { // links came or went meanwhile
		all, err = netlink.LinkList()
	}
	if err != nil {
		return nil, fmt.Errorf("listing links: %w", err)
	}
	var links []Link
	for _, l := range all {
		a := l.Attrs()
		if l.Type() != "veth" || !bridge.IsPort(a.Name) {
			continue
		}
		link := Link{Name: a.Name, index: a.Index}
		uid, addr, _ := strings.Cut(a.Alias, " ")
		if LinkName(uid) == a.Name {
			link.PodUID = uid
			link.Address, _ = netip.ParseAddr(addr)
		}
		links = append(links, link)
	}
	return links, nil
}

func remove(name string) error {
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if errors.As(err, new(netlink.LinkNotFoundError)) || errors.Is(err, syscall.ENODEV) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("removing link %s: %w", name, err)
	}
	return nil
}

// complete tells whether the pod's link is complete and has addr.
func complete(links []Link, podUID string, addr netip.Addr) bool {
	for _, l := range links {
		if l.PodUID == podUID {
			return l.Address == addr
		}
	}
	return false
}

func inUse(links []Link, a netip.Addr) bool {
	for _, l := range links {
		if l.Address == a {
			return true
		}
	}
	return false
}

// start is the address after which the next is allocated: the one allocated last, or after a restart the highest in use.
func (n *Network) start(links []Link) netip.Addr {
	last := n.last
	if !last.IsValid() {
		for _, l := range links {
			if l.Address.IsValid() && (!last.IsValid() || last.Less(l.Address)) {
				last = l.Address
			}
		}
	}
	return last
}

func ipNet(a netip.Addr, bits int) *net.IPNet {
	return &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(bits, 32)}
}
