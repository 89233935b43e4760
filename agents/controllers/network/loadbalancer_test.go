package network_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers"
	"gantry/agents/controllers/controllertest"
	"gantry/agents/internal/addressrange"
	"gantry/registry"
	"gantry/schema/core"
)

const balancedService = `---
apiVersion: v1
kind: Service
metadata: {namespace: default, name: %s}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80}]}
`

func withRanges(t *testing.T, ranges ...string) func(*controllers.Config) {
	t.Helper()
	parsed, err := addressrange.Parse(ranges)
	if err != nil {
		t.Fatal(err)
	}
	return func(cfg *controllers.Config) { cfg.LoadBalancerAddresses = parsed }
}

// addressesOf returns what Services have, by name: "192.0.2.1", or the reason of the condition.
func addressesOf(c *controllertest.Cluster) map[string]string {
	out := map[string]string{}
	for _, s := range controllertest.List[*corev1.Service](c, "default", "") {
		if s.Name == "kubernetes" {
			continue
		}
		var has []string
		for _, in := range s.Status.LoadBalancer.Ingress {
			has = append(has, in.IP)
		}
		if cond := meta.FindStatusCondition(s.Status.Conditions, "gantry.io/AddressAssigned"); cond != nil && cond.Status == "False" {
			has = append(has, cond.Reason)
		}
		out[s.Name] = strings.Join(has, " ")
	}
	return out
}

// A Service waits for an address until another is deleted or is no load balancer any more.
func TestLoadBalancerAddressesAreGivenOnce(t *testing.T) {
	c := controllertest.Start(t, withRanges(t, "192.0.2.1-192.0.2.2"))
	c.Ready()
	counts := func(want map[string]int) func() string {
		return func() string {
			got := map[string]int{}
			for _, a := range addressesOf(c) {
				got[a]++
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				return fmt.Sprintf("addresses %v, have %v", want, addressesOf(c))
			}
			return ""
		}
	}
	c.Apply(fmt.Sprintf(strings.Repeat(balancedService, 4), "a", "b", "c", "d"))
	c.Until(counts(map[string]int{"192.0.2.1": 1, "192.0.2.2": 1, "NoAddressFree": 2}), core.Service)
	before := addressesOf(c)
	having := func(address string) string {
		for name, a := range addressesOf(c) {
			if a == address {
				return name
			}
		}
		t.Fatalf("nothing has %s: %v", address, addressesOf(c))
		return ""
	}
	waiting := having("NoAddressFree")
	c.Until(func() string {
		if events := c.Events(waiting); !slices.Contains(events, "service-controller SyncLoadBalancerFailed") {
			return fmt.Sprintf("an Event about %s, have %v", waiting, events)
		}
		return ""
	}, core.Event)

	c.Restart()
	if err := registry.For[*corev1.Service](c.Registry).Delete(t.Context(), "default", having("192.0.2.2"), registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.Until(counts(map[string]int{"192.0.2.1": 1, "192.0.2.2": 1, "NoAddressFree": 1}), core.Service)
	first := having("192.0.2.1")
	if before[first] != "192.0.2.1" {
		t.Errorf("%s has 192.0.2.1 after a restart, before: %v", first, before)
	}

	if _, err := registry.For[*corev1.Service](c.Registry).Modify(t.Context(), "default", first, func(s *corev1.Service) error {
		s.Spec.Type = corev1.ServiceTypeClusterIP
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	c.Until(counts(map[string]int{"192.0.2.1": 1, "192.0.2.2": 1, "": 1}), core.Service)
	c.Until(func() string {
		s, ok := controllertest.Get[*corev1.Service](c, "default", first)
		if !ok || len(s.Finalizers) > 0 || len(s.Status.Conditions) > 0 {
			return first + " without finalizer and condition"
		}
		return ""
	}, core.Service)
}

// Without ranges Services share the nodes' addresses, and follow them.
func TestLoadBalancerFollowsNodes(t *testing.T) {
	c := controllertest.Start(t, func(cfg *controllers.Config) { cfg.NodeMonitorGracePeriod = time.Hour })
	c.Ready()
	until := func(want map[string]string) {
		t.Helper()
		c.Until(func() string {
			if got := addressesOf(c); fmt.Sprint(got) != fmt.Sprint(want) {
				return fmt.Sprintf("addresses %v, have %v", want, got)
			}
			return ""
		}, core.Service)
	}
	c.Apply(fmt.Sprintf(balancedService, "web"))
	until(map[string]string{"web": "NoNode"})
	setAddress := func(address string) {
		t.Helper()
		if _, err := registry.For[*corev1.Node](c.Registry).ModifyStatus(t.Context(), "", "n1", func(n *corev1.Node) error {
			n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address}}
			n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.Now()}}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	setAddress("192.0.2.10")
	until(map[string]string{"web": "192.0.2.10"})
	c.Apply(fmt.Sprintf(balancedService, "late"))
	until(map[string]string{"web": "192.0.2.10", "late": "PortInUse"})
	setAddress("192.0.2.11")
	until(map[string]string{"web": "192.0.2.11", "late": "PortInUse"})
	if err := registry.For[*corev1.Service](c.Registry).Delete(t.Context(), "default", "web", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	until(map[string]string{"late": "192.0.2.11"})
}
