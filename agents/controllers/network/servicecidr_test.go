package network_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers"
	"gantry/agents/controllers/controllertest"
	"gantry/registry"
	"gantry/schema/core"
	"gantry/schema/networking"
)

const moreAddresses = `
apiVersion: networking.k8s.io/v1
kind: ServiceCIDR
metadata: {name: more}
spec: {cidrs: [10.97.0.0/24, "fd00:97::/112"]}
`

// Services get addresses of a ServiceCIDR once it is ready. It stays until they have none any more, and no further one gets any.
func TestServiceCIDRIsKeptWhileItIsUsed(t *testing.T) {
	c := controllertest.Start(t, func(cfg *controllers.Config) {
		cfg.ServiceCIDRs = []netip.Prefix{netip.MustParsePrefix("10.96.0.0/16"), netip.MustParsePrefix("fd00:96::/112")}
	})
	c.Ready()
	c.Apply(moreAddresses)
	untilReady := func(want metav1.ConditionStatus, names ...string) {
		t.Helper()
		c.Until(func() string {
			for _, name := range names {
				cidr, ok := controllertest.Get[*networkingv1.ServiceCIDR](c, "", name)
				if !ok || meta.FindStatusCondition(cidr.Status.Conditions, "Ready") == nil || meta.FindStatusCondition(cidr.Status.Conditions, "Ready").Status != want {
					return fmt.Sprintf("%s with Ready %s, have %+v", name, want, cidr)
				}
			}
			return ""
		}, networking.ServiceCIDR)
	}
	untilReady(metav1.ConditionTrue, "kubernetes", "more")
	if cidr, _ := controllertest.Get[*networkingv1.ServiceCIDR](c, "", "kubernetes"); !slices.Equal(cidr.Spec.CIDRs, []string{"10.96.0.0/16", "fd00:96::/112"}) {
		t.Errorf("the default has %v", cidr.Spec.CIDRs)
	}
	services := registry.For[*corev1.Service](c.Registry)
	create := func(name string, ips ...string) error {
		policy := corev1.IPFamilyPolicyPreferDualStack
		_, err := services.Create(t.Context(), &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
			Spec:       corev1.ServiceSpec{IPFamilyPolicy: &policy, ClusterIP: ips[0], ClusterIPs: ips, Ports: []corev1.ServicePort{{Port: 80}}},
		})
		return err
	}
	if err := create("web", "fd00:97::7", "10.97.0.7"); err != nil {
		t.Fatal(err)
	}
	if err := registry.For[*networkingv1.ServiceCIDR](c.Registry).Delete(t.Context(), "", "more", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	untilReady(metav1.ConditionFalse, "more")
	if err := create("late", "10.97.0.8"); err == nil || !strings.Contains(err.Error(), "failed to allocate IP 10.97.0.8: the provided network does not match the current range") {
		t.Errorf("an address of a ServiceCIDR that is being deleted: %v", err)
	}
	if err := services.Delete(t.Context(), "default", "web", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.Until(func() string {
		if _, ok := controllertest.Get[*networkingv1.ServiceCIDR](c, "", "more"); ok {
			return "the ServiceCIDR gone"
		}
		return ""
	}, networking.ServiceCIDR)
	// Another stays while a larger one has its addresses.
	c.Apply(strings.Replace(moreAddresses, "more", "large", 1) + "---" + strings.NewReplacer("more", "small", "/24", "/28", "/112", "/124").Replace(moreAddresses))
	untilReady(metav1.ConditionTrue, "large", "small")
	if err := create("web", "10.97.0.7", "fd00:97::7"); err != nil {
		t.Fatal(err)
	}
	if err := registry.For[*networkingv1.ServiceCIDR](c.Registry).Delete(t.Context(), "", "small", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.Until(func() string {
		if _, ok := controllertest.Get[*networkingv1.ServiceCIDR](c, "", "small"); ok {
			return "the smaller ServiceCIDR gone"
		}
		return ""
	}, networking.ServiceCIDR, core.Service)
}

// A cluster that gets a second family keeps its first.
func TestDefaultServiceCIDRBecomesDual(t *testing.T) {
	c := controllertest.Start(t, func(cfg *controllers.Config) {
		cfg.ServiceCIDRs = []netip.Prefix{netip.MustParsePrefix("10.96.0.0/16"), netip.MustParsePrefix("fd00:96::/112")}
		cfg.Controllers = []string{"*", "-systemobjects"}
	})
	c.Ready()
	c.Apply("apiVersion: networking.k8s.io/v1\nkind: ServiceCIDR\nmetadata: {name: kubernetes}\nspec: {cidrs: [10.96.0.0/16]}\n")
	c.Until(func() string {
		cidr, ok := controllertest.Get[*networkingv1.ServiceCIDR](c, "", "kubernetes")
		if !ok || !slices.Equal(cidr.Spec.CIDRs, []string{"10.96.0.0/16", "fd00:96::/112"}) || !slices.Equal(cidr.Finalizers, []string{"networking.k8s.io/service-cidr-finalizer"}) {
			return fmt.Sprintf("both ranges and the finalizer, have %+v", cidr)
		}
		return ""
	}, networking.ServiceCIDR)
}
