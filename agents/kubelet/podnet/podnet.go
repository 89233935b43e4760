// Package podnet gives a pod's sandbox its network by netlink: a veth pair from the node's bridge into the
// sandbox's network namespace, an address of each of the node's podCIDRs, which are one for each family, and the default route. No
// program is run; it takes a few milliseconds.
//
// Inside, the link is eth0 with a /32 or /128 address and the bridge as gateway for everything, so that packets between two pods of
// one node pass the host's IP stack too: service addresses and network policies work there whether or not the host has
// br_netfilter.
//
// What is in use is kept in the kernel alone. The host's end is named gt<hash of the pod's uid>, and its alias is "<uid>
// <address> <address>": what is in use can be listed after any crash, without entering a namespace. An address stays in
// use until its link is gone: by Teardown, or with the sandbox's namespace.
package podnet

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
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
	mu       sync.Mutex                  // guards what follows
	last     map[netip.Prefix]netip.Addr // allocated last, by podCIDR
	reserved map[string][]netip.Addr     // by pod, until the kernel shows it
}

// Link is a pod's link as the host sees it.
type Link struct {
	Name string // "gt0f3a..."
	// PodUID and Addresses are those that Setup wrote on it; empty where Setup was interrupted.
	PodUID    string
	Addresses []netip.Addr
	index     int
}

// EnsureBridge makes the node's bridge for its podCIDRs, or what that lacks. Calling it again changes nothing.
func EnsureBridge(cidrs []netip.Prefix) error { return bridge.Ensure(cidrs, 0) }

// Setup gives the sandbox whose process is pid the network of pod podUID, and returns its addresses, one for each podCIDR. It makes the
// bridge where that is missing. A sandbox that has its network keeps it and its addresses; an incomplete one is made
// again. taken (may be nil) reports addresses that are in use beyond those List knows.
// The error is ErrFull when a podCIDR is used up.
func (n *Network) Setup(podUID string, pid int, cidrs []netip.Prefix, taken func(netip.Addr) bool) ([]netip.Addr, error) {
	addrs, err := n.setup(podUID, pid, cidrs, taken)
	if err != nil {
		return nil, fmt.Errorf("setting up network of pod %s: %w", podUID, err)
	}
	return addrs, nil
}

func (n *Network) setup(podUID string, pid int, cidrs []netip.Prefix, taken func(netip.Addr) bool) ([]netip.Addr, error) {
	if err := checkUID(podUID); err != nil {
		return nil, err
	}
	if err := bridge.Ensure(cidrs, 0); err != nil {
		return nil, err
	}
	sb, err := open(pid)
	if err != nil {
		return nil, err
	}
	defer sb.close()
	links, err := List()
	if err != nil {
		return nil, err
	}
	if addrs, err := sb.addresses(); err == nil && complete(links, podUID, addrs) {
		return addressesOf(links, podUID), nil
	}
	addrs, err := n.reserve(podUID, cidrs, taken)
	if err != nil {
		return nil, err
	}
	if err := connect(podUID, addrs, sb, cidrs); err != nil {
		_ = remove(LinkName(podUID)) // List has what is left, too
		return nil, err
	}
	n.forget(podUID)
	return addrs, nil
}

// Reserve allocates the addresses that Setup will give a pod: those of its link, else a free one of each of cidrs. Calling it again
// returns the same. The reservation ends with Teardown or this process. The error is ErrFull when a podCIDR is used up.
func (n *Network) Reserve(podUID string, cidrs []netip.Prefix, taken func(netip.Addr) bool) ([]netip.Addr, error) {
	if err := checkUID(podUID); err != nil {
		return nil, err
	}
	for _, cidr := range cidrs {
		if err := bridge.Check(cidr); err != nil {
			return nil, err
		}
	}
	return n.reserve(podUID, cidrs, taken)
}

func (n *Network) reserve(podUID string, cidrs []netip.Prefix, taken func(netip.Addr) bool) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if addrs := n.reserved[podUID]; areOf(addrs, cidrs) {
		return addrs, nil
	}
	links, err := List() // under the lock: a reservation is removed once its link is there
	if err != nil {
		return nil, err
	}
	if addrs := addressesOf(links, podUID); areOf(addrs, cidrs) {
		return addrs, nil
	}
	inUse := map[netip.Addr]bool{}
	for _, l := range links {
		for _, a := range l.Addresses {
			inUse[a] = true
		}
	}
	for uid, addrs := range n.reserved {
		for _, a := range addrs {
			inUse[a] = inUse[a] || uid != podUID
		}
	}
	var addrs []netip.Addr
	for _, cidr := range cidrs {
		a, err := next(cidr, n.start(links, cidr), func(a netip.Addr) bool { return inUse[a] || (taken != nil && taken(a)) })
		if err != nil {
			return nil, fmt.Errorf("allocating an address of %s: %w", cidr, err)
		}
		addrs = append(addrs, a)
	}
	if n.reserved == nil {
		n.reserved, n.last = map[string][]netip.Addr{}, map[netip.Prefix]netip.Addr{}
	}
	n.reserved[podUID] = addrs
	for i, cidr := range cidrs {
		n.last[cidr] = addrs[i]
	}
	return addrs, nil
}

// areOf returns whether addrs are one of each of cidrs, in their order.
func areOf(addrs []netip.Addr, cidrs []netip.Prefix) bool {
	return len(addrs) > 0 && slices.EqualFunc(addrs, cidrs, func(a netip.Addr, p netip.Prefix) bool { return p.Contains(a) })
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

// Addresses reads the addresses of pod podUID whose sandbox's process is pid, the first of them first; ErrNoAddress where it has none.
func Addresses(podUID string, pid int) ([]netip.Addr, error) {
	sb, err := open(pid)
	if err != nil {
		return nil, err
	}
	defer sb.close()
	addrs, err := sb.addresses()
	if err != nil {
		return nil, err
	}
	if link, err := netlink.LinkByName(LinkName(podUID)); err == nil { // it has the order
		if known := parse(link).Addresses; hasAll(addrs, known) {
			return known, nil
		}
	}
	return addrs, nil
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
		links = append(links, parse(l))
	}
	return links, nil
}

// parse reads the alias of a pod's link.
func parse(l netlink.Link) Link {
	a := l.Attrs()
	link := Link{Name: a.Name, index: a.Index}
	uid, rest, _ := strings.Cut(a.Alias, " ")
	if LinkName(uid) != a.Name {
		return link
	}
	link.PodUID = uid
	for _, text := range strings.Fields(rest) {
		if addr, err := netip.ParseAddr(text); err == nil {
			link.Addresses = append(link.Addresses, addr)
		}
	}
	return link
}

// alias is what parse reads.
func alias(podUID string, addrs []netip.Addr) string {
	text := podUID
	for _, a := range addrs {
		text += " " + a.String()
	}
	return text
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

// complete tells whether the pod's link is complete and the sandbox, which has addrs, has its addresses.
func complete(links []Link, podUID string, addrs []netip.Addr) bool {
	return hasAll(addrs, addressesOf(links, podUID))
}

// addressesOf returns the addresses of a pod's link; nil: there is none.
func addressesOf(links []Link, podUID string) []netip.Addr {
	for _, l := range links {
		if l.PodUID == podUID {
			return l.Addresses
		}
	}
	return nil
}

// hasAll tells whether some addresses are wanted and all are among addrs; a pod may have given itself others.
func hasAll(addrs, wanted []netip.Addr) bool {
	return len(wanted) > 0 && !slices.ContainsFunc(wanted, func(a netip.Addr) bool { return !slices.Contains(addrs, a) })
}

// start is the address of a podCIDR after which the next is allocated: the one allocated last, or after a restart the highest in use.
func (n *Network) start(links []Link, cidr netip.Prefix) netip.Addr {
	last := n.last[cidr]
	if !last.IsValid() {
		for _, l := range links {
			for _, a := range l.Addresses {
				if cidr.Contains(a) && last.Less(a) {
					last = a
				}
			}
		}
	}
	return last
}

func hostNet(a netip.Addr) *net.IPNet {
	return &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}
}
