package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/networking"
)

const (
	// serviceCIDRFinalizer is upstream's.
	serviceCIDRFinalizer = "networking.k8s.io/service-cidr-finalizer"
	// defaultServiceCIDR has the configured ranges.
	defaultServiceCIDR = "kubernetes"
	// addressesRecheck is after how long it is tried again to delete a ServiceCIDR that has addresses.
	addressesRecheck = 5 * time.Second
)

// serviceCIDRs makes ServiceCIDRs ready, and keeps those that are being deleted while Services have addresses that are of no other one. No
// address of a ServiceCIDR is given out once its deletion has begun, as the Service's transaction compares its revision: a list of addresses
// that is read afterwards is complete. Its keys are names of ServiceCIDRs.
type serviceCIDRs struct {
	*controller.Env
	configured []string
	mismatch   sync.Once // reports that the default one has other ranges
}

// NewServiceCIDR keeps the status of ServiceCIDRs; configured are the ranges of the default one.
func NewServiceCIDR(configured []netip.Prefix) func(*controller.Env) controller.Reconciler {
	return func(e *controller.Env) controller.Reconciler {
		c := &serviceCIDRs{Env: e}
		for _, p := range configured {
			c.configured = append(c.configured, p.Masked().String())
		}
		return controller.Reconciler{Reconcile: c.reconcile, Watches: []controller.Watch{{Kind: networking.ServiceCIDR, Keys: func(_, current schema.Object) {
			if current != nil {
				c.Enqueue(current.GetName(), 0)
			}
		}}}}
	}
}

func (c *serviceCIDRs) reconcile(ctx context.Context, name string) (time.Duration, error) {
	all := registry.For[*networkingv1.ServiceCIDR](c.Registry)
	cidr, err := all.Cached(ctx, "", name)
	if errors.Is(err, registry.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if cidr.DeletionTimestamp == nil {
		if name == defaultServiceCIDR {
			c.reportMismatch(cidr)
		}
		return 0, c.Execute(ctx, planServiceCIDR(cidr, c.configured, time.Now()))
	}
	others, err := all.CachedList(ctx, "", "")
	if err != nil {
		return 0, err
	}
	addresses, err := c.Registry.List(ctx, networking.IPAddress, "", registry.ListOptions{})
	if err != nil {
		return 0, fmt.Errorf("listing IP addresses: %w", err)
	}
	var names []string
	for _, it := range addresses.Items {
		names = append(names, it.Name)
	}
	plan, blocked := planServiceCIDRDeletion(cidr, others, names, time.Now())
	if blocked {
		return addressesRecheck, c.Execute(ctx, plan)
	}
	return 0, c.Execute(ctx, plan)
}

// reportMismatch records once that the default ServiceCIDR has other ranges than are configured.
func (c *serviceCIDRs) reportMismatch(cidr *networkingv1.ServiceCIDR) {
	if len(c.configured) == 0 || slices.Equal(cidr.Spec.CIDRs, c.configured) || isUpgrade(cidr, c.configured) {
		return
	}
	c.mismatch.Do(func() {
		c.Events.Event(networking.ServiceCIDR, cidr, "Warning", "KubernetesDefaultServiceCIDRInconsistent",
			"The default ServiceCIDR %v does not match the controller flag configurations %s", cidr.Spec.CIDRs, c.configured)
	})
}

// isUpgrade tells whether the default ServiceCIDR is to get the second of the configured ranges.
func isUpgrade(cidr *networkingv1.ServiceCIDR, configured []string) bool {
	return cidr.Name == defaultServiceCIDR && len(configured) == 2 && slices.Equal(cidr.Spec.CIDRs, configured[:1])
}

// planServiceCIDR decides the ranges, the finalizer and the condition of a ServiceCIDR. Pure.
func planServiceCIDR(cidr *networkingv1.ServiceCIDR, configured []string, now time.Time) (plan []controller.Action) {
	next := cidr.DeepCopy()
	reason := "it is kept while Services have addresses of it"
	if isUpgrade(cidr, configured) {
		next.Spec.CIDRs, reason = slices.Clone(configured), "the cluster has a second family"
	}
	if !slices.Contains(next.Finalizers, serviceCIDRFinalizer) {
		next.Finalizers = append(next.Finalizers, serviceCIDRFinalizer)
	}
	if !equality.Semantic.DeepEqual(next, cidr) {
		return []controller.Action{{Do: controller.Update, Kind: networking.ServiceCIDR, Object: next, Reason: reason}}
	}
	return planServiceCIDRStatus(cidr, metav1.Condition{Status: metav1.ConditionTrue, Message: "Kubernetes Service CIDR is ready"}, now)
}

func planServiceCIDRStatus(cidr *networkingv1.ServiceCIDR, condition metav1.Condition, now time.Time) []controller.Action {
	next := cidr.DeepCopy()
	condition.Type, condition.LastTransitionTime = networkingv1.ServiceCIDRConditionReady, metav1.NewTime(now)
	if !meta.SetStatusCondition(&next.Status.Conditions, condition) {
		return nil
	}
	return []controller.Action{{Do: controller.UpdateStatus, Kind: networking.ServiceCIDR, Object: next, Reason: condition.Message}}
}

// planServiceCIDRDeletion removes the finalizer of a ServiceCIDR that is being deleted, unless addresses would be of none of the others;
// then it is blocked. Pure.
func planServiceCIDRDeletion(cidr *networkingv1.ServiceCIDR, all []*networkingv1.ServiceCIDR, addresses []string, now time.Time) (plan []controller.Action, blocked bool) {
	own := prefixesOf(cidr)
	var others []netip.Prefix
	for _, o := range all {
		if o.Name != cidr.Name {
			others = append(others, prefixesOf(o)...)
		}
	}
	for _, text := range addresses {
		a, err := netip.ParseAddr(text)
		contains := func(p netip.Prefix) bool { return p.Contains(a) }
		if err == nil && slices.ContainsFunc(own, contains) && !slices.ContainsFunc(others, contains) {
			return planServiceCIDRStatus(cidr, metav1.Condition{
				Status: metav1.ConditionFalse, Reason: networkingv1.ServiceCIDRReasonTerminating,
				Message: "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR",
			}, now), true
		}
	}
	if !slices.Contains(cidr.Finalizers, serviceCIDRFinalizer) {
		return nil, false
	}
	return []controller.Action{{Do: controller.RemoveFinalizer, Kind: networking.ServiceCIDR, Object: cidr, Finalizer: serviceCIDRFinalizer, Reason: "no address is of it alone"}}, false
}

func prefixesOf(cidr *networkingv1.ServiceCIDR) (out []netip.Prefix) {
	for _, text := range cidr.Spec.CIDRs {
		if p, err := netip.ParsePrefix(text); err == nil {
			out = append(out, p)
		}
	}
	return out
}
