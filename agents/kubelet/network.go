package kubelet

import (
	"net/netip"

	"gantry/agents/kubelet/podnet"
)

// Network makes the links of sandboxes. Every call can be repeated.
type Network interface {
	// Reserve allocates, before a pod's sandbox runs, the addresses that Setup will give it. Teardown releases them.
	Reserve(podUID string, cidrs []netip.Prefix, taken func(netip.Addr) bool) ([]netip.Addr, error)
	// Setup gives the sandbox whose process is pid an address of each of cidrs; one that has its network keeps it. taken (may be nil)
	// reports addresses in use beyond those that links show.
	Setup(podUID string, pid int, cidrs []netip.Prefix, taken func(netip.Addr) bool) ([]netip.Addr, error)
	// Addresses reads the addresses that Setup gave; podnet.ErrNoAddress where there is none.
	Addresses(podUID string, pid int) ([]netip.Addr, error)
	// Teardown removes the pod's link; an absent one is no fault.
	Teardown(podUID string) error
}

// vethNetwork is Network by podnet.
type vethNetwork struct{ podnet.Network }

func (n *vethNetwork) Addresses(podUID string, pid int) ([]netip.Addr, error) {
	return podnet.Addresses(podUID, pid)
}
