// Package loadbalancer has what the controller that gives addresses to Services of type LoadBalancer and the proxies that serve these
// addresses agree on. Pure.
package loadbalancer

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

const (
	// Class is the spec.loadBalancerClass of Services that Gantry balances; it balances those without a class too.
	Class = "gantry.io/load-balancer"
	// AddressAssigned is the condition of a Service that says whether Gantry's controller has given it an address, and why not.
	AddressAssigned = "gantry.io/AddressAssigned"
)

// IsExcluded returns whether a node is to get no traffic from load balancers: by its label, or because it is being deleted.
func IsExcluded(n *corev1.Node) bool {
	_, excluded := n.Labels[corev1.LabelNodeExcludeBalancers]
	return excluded || n.DeletionTimestamp != nil ||
		slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == "ToBeDeletedByClusterAutoscaler" })
}

// TakesTraffic returns whether clients outside of the cluster may be led to a node: it is ready and not excluded.
func TakesTraffic(n *corev1.Node) bool {
	return !IsExcluded(n) && slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}
