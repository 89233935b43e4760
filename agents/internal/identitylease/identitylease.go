// Package identitylease defines the identity lease of a gateway, as kube-apiserver's APIServerIdentity has it: a Lease in kube-system that
// says that a gateway is running, and at which address. Each gateway renews its own; the controller of the Service kubernetes reads all.
package identitylease

import (
	"net/netip"
	"strconv"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// Namespace is the namespace of the leases.
	Namespace = metav1.NamespaceSystem
	// Selector is their label selector.
	Selector = label + "=" + component

	label     = "apiserver.kubernetes.io/identity"
	component = "kube-apiserver"

	// Duration is how long a gateway that does not renew its lease is taken for running.
	Duration = 15 * time.Second
	// RenewInterval is how often a gateway renews it.
	RenewInterval = Duration / 3
)

// Name is the name of the lease of the gateway at address: apiserver-10-0-0-1-6443.
func Name(address netip.AddrPort) string {
	b := []byte(address.Addr().WithZone("").StringExpanded())
	for i, c := range b {
		if c == '.' || c == ':' {
			b[i] = '-'
		}
	}
	return "apiserver-" + string(b) + "-" + strconv.Itoa(int(address.Port()))
}

// Fill sets the fields of l to the lease of the gateway at address, renewed now.
func Fill(l *coordinationv1.Lease, address netip.AddrPort, now time.Time) {
	if l.Labels == nil {
		l.Labels = map[string]string{}
	}
	l.Labels[label] = component
	holder, seconds, renewed := address.String(), int32(Duration/time.Second), metav1.NewMicroTime(now)
	l.Spec.HolderIdentity, l.Spec.LeaseDurationSeconds, l.Spec.RenewTime = &holder, &seconds, &renewed
	if l.Spec.AcquireTime == nil {
		l.Spec.AcquireTime = &renewed
	}
}

// Is reports whether l is a gateway's lease.
func Is(l *coordinationv1.Lease) bool {
	return l.Namespace == Namespace && l.Labels[label] == component
}

// Address returns the address at which the gateway of l listens; false: l holds no address, or its name is not that of the address.
func Address(l *coordinationv1.Lease) (netip.AddrPort, bool) {
	if l.Spec.HolderIdentity == nil || l.Spec.RenewTime == nil {
		return netip.AddrPort{}, false
	}
	a, err := netip.ParseAddrPort(*l.Spec.HolderIdentity)
	return a, err == nil && a.Port() != 0 && l.Name == Name(a)
}
