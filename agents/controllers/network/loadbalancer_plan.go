package network

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"gantry/agents/controllers/controller"
	"gantry/agents/internal/addressrange"
	"gantry/agents/internal/loadbalancer"
	"gantry/schema/core"
)

// loadBalancerFinalizer is upstream's.
const loadBalancerFinalizer = "service.kubernetes.io/load-balancer-cleanup"

// balancing is what is decided on besides the Service itself.
type balancing struct {
	// ranges are where addresses come from; none: from the nodes.
	ranges   addressrange.Ranges
	services []*corev1.Service
	nodes    []*corev1.Node
	// endpoints are the slices of the Service, gateways those of default/kubernetes; both only where there are no ranges.
	endpoints, gateways []*discoveryv1.EndpointSlice
}

// problem is why a Service gets no address: reason for the condition, event for the Event, both upstream's where it has one.
type problem struct{ reason, event, message string }

func (p *problem) text() string {
	if p.event == unavailableEvent {
		return p.message
	}
	return "Error syncing load balancer: " + p.message
}

const (
	failedEvent      = "SyncLoadBalancerFailed"
	unavailableEvent = "UnAvailableLoadBalancer"
)

// isBalancedHere returns whether the Service gets addresses from this controller.
func isBalancedHere(svc *corev1.Service) bool {
	return svc.Spec.Type == corev1.ServiceTypeLoadBalancer && isOurClass(svc) && svc.DeletionTimestamp == nil
}

func isOurClass(svc *corev1.Service) bool {
	return svc.Spec.LoadBalancerClass == nil || *svc.Spec.LoadBalancerClass == loadbalancer.Class
}

// planLoadBalancer decides the finalizer and the status of a Service; waits says that it should have an address and gets none. Pure.
func planLoadBalancer(svc *corev1.Service, in balancing, now time.Time) (plan []controller.Action, waits bool) {
	if !isBalancedHere(svc) {
		return planRelease(svc), false
	}
	next := svc.DeepCopy()
	if !slices.Contains(svc.Finalizers, loadBalancerFinalizer) {
		next.Finalizers = append(next.Finalizers, loadBalancerFinalizer)
		plan = append(plan, controller.Action{Do: controller.Update, Kind: core.Service, Object: next, Reason: "its addresses are to be released before it is gone",
			Event: about(svc, "EnsuringLoadBalancer", "Ensuring load balancer")})
		next = next.DeepCopy()
	}
	addresses, failed := assign(svc, in)
	next.Status.LoadBalancer = corev1.LoadBalancerStatus{Ingress: ingressOf(addresses, svc.Spec.Ports)}
	condition := metav1.Condition{Type: loadbalancer.AddressAssigned, Status: metav1.ConditionTrue, Reason: "Assigned", LastTransitionTime: metav1.NewTime(now)}
	reason, event := fmt.Sprintf("addresses %v", addresses), about(svc, "EnsuredLoadBalancer", "Ensured load balancer")
	if failed != nil {
		condition.Status, condition.Reason, condition.Message = metav1.ConditionFalse, failed.reason, failed.message
		reason, event = failed.message, about(svc, failed.event, failed.text())
		event.Warning = true
	}
	meta.SetStatusCondition(&next.Status.Conditions, condition)
	if !equality.Semantic.DeepEqual(next.Status, svc.Status) {
		plan = append(plan, controller.Action{Do: controller.UpdateStatus, Kind: core.Service, Object: next, Reason: reason, Event: event})
	}
	return plan, failed != nil
}

// planRelease takes the addresses from a Service that is not balanced here any more.
func planRelease(svc *corev1.Service) (plan []controller.Action) {
	changedType := svc.Spec.Type != corev1.ServiceTypeLoadBalancer
	if !slices.Contains(svc.Finalizers, loadBalancerFinalizer) || (!changedType && !isOurClass(svc)) {
		return nil
	}
	reason := "it is being deleted"
	if changedType {
		reason = "it is not of type LoadBalancer any more"
	}
	next := svc.DeepCopy()
	next.Status.LoadBalancer = corev1.LoadBalancerStatus{}
	meta.RemoveStatusCondition(&next.Status.Conditions, loadbalancer.AddressAssigned)
	if !equality.Semantic.DeepEqual(next.Status, svc.Status) {
		plan = append(plan, controller.Action{Do: controller.UpdateStatus, Kind: core.Service, Object: next, Reason: reason,
			Event: about(svc, "DeletingLoadBalancer", "Deleting load balancer")})
	}
	return append(plan, controller.Action{Do: controller.RemoveFinalizer, Kind: core.Service, Object: svc, Finalizer: loadBalancerFinalizer, Reason: reason,
		Event: about(svc, "DeletedLoadBalancer", "Deleted load balancer")})
}

func about(svc *corev1.Service, reason, message string) *controller.Event {
	return &controller.Event{Kind: core.Service, About: svc, Reason: reason, Message: message}
}

func ingressOf(addresses []netip.Addr, ports []corev1.ServicePort) (out []corev1.LoadBalancerIngress) {
	for _, a := range addresses {
		in := corev1.LoadBalancerIngress{IP: a.String(), IPMode: ptr.To(corev1.LoadBalancerIPModeVIP)}
		for _, p := range ports {
			in.Ports = append(in.Ports, corev1.PortStatus{Port: p.Port, Protocol: p.Protocol})
		}
		out = append(out, in)
	}
	return out
}

// held are the valid addresses in the status of a Service.
func held(svc *corev1.Service) (out []netip.Addr) {
	for _, in := range svc.Status.LoadBalancer.Ingress {
		if a, err := netip.ParseAddr(in.IP); err == nil {
			out = append(out, a)
		}
	}
	return out
}
