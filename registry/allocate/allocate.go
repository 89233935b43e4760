// Package allocate gives Services their cluster IPs and node ports. Each is claimed by a key, which makes it unique:
//
//	/registry/ipaddresses/<ip>       the IPAddress (networking.k8s.io/v1) of a cluster IP of either family, as Kubernetes has it
//	/gantry/nodeports/<port>         {"kind":"NodePort","namespace":...,"name":...}
//
// A Service takes and releases its claims in its own transaction (Claims), so that neither can exist without the other. A claim whose
// Service is gone or uses something else by now, which only a raw write of etcd leaves behind, may be taken over; Repair looks for such
// claims and for those that are missing.
//
// Addresses come from the configured ranges first, then from those of ready ServiceCIDR objects. A Service that takes an address of an
// object compares that object's revision in its transaction: so no address of it is taken once its deletion has begun.
//
// The package knows Services and keys; the caller provides how Services are read (Services.Get, Services.List).
package allocate

import (
	"context"
	"net/netip"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/registry/store"
)

const (
	addressPrefix  = "/registry/ipaddresses/"
	nodePortPrefix = "/gantry/nodeports/"
	servicePrefix  = "/registry/services/specs/"
	cidrPrefix     = "/registry/servicecidrs/"
)

// Services are the Services of a cluster and the ranges they draw on.
type Services struct {
	Store store.Store
	// CIDRs are the configured ranges of cluster IPs, one of each family at most; the first is of the family of Services that name none. None:
	// Services that need an address are refused.
	CIDRs []netip.Prefix
	// NodePorts is the range of node ports, [lo, hi].
	NodePorts [2]int
	// Get returns a Service as the store has it now, with its revision; nil where there is none (revision 0) or where it cannot be read.
	Get func(ctx context.Context, name types.NamespacedName) (svc *corev1.Service, revision int64, err error)
	// List calls f for all Services there are. Only Repair needs it.
	List func(ctx context.Context, f func(svc *corev1.Service, revision int64) error) error
}

// addressKey is where the IPAddress that claims a cluster IP lives: one per address, so that a compare for its
// absence makes the address unique.
func addressKey(ip string) string { return addressPrefix + ip }

// nodePortKey is where the claim on a node port lives.
func nodePortKey(port int32) string { return nodePortPrefix + strconv.Itoa(int(port)) }

func serviceKey(name types.NamespacedName) string {
	return servicePrefix + name.Namespace + "/" + name.Name
}
