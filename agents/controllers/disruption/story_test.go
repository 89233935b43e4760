package disruption_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"gantry/agents/controllers/controller"
	"gantry/agents/controllers/controllertest"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
)

// tell runs the controllers in the time of a bubble.
func tell(t *testing.T, f func(c *controllertest.Cluster)) {
	synctest.Test(t, func(t *testing.T) {
		c := controllertest.Start(t, nil)
		c.Ready()
		f(c)
	})
}

// want waits for a while and compares a budget's status.
func want(c *controllertest.Cluster, name, want string) {
	c.T.Helper()
	time.Sleep(10 * time.Second)
	b, ok := controllertest.Get[*policyv1.PodDisruptionBudget](c, "default", name)
	if !ok {
		c.T.Fatalf("no budget %s", name)
	}
	s := b.Status
	got := fmt.Sprintf("healthy %d of %d, %d wanted, %d allowed", s.CurrentHealthy, s.ExpectedPods, s.DesiredHealthy, s.DisruptionsAllowed)
	for _, cond := range s.Conditions {
		got += strings.TrimRight(", "+cond.Reason+" "+cond.Message, " ")
	}
	if got != want {
		c.T.Errorf("status %s, want %s", got, want)
	}
}

func evict(c *controllertest.Cluster, name string) error {
	_, _, err := c.Registry.Delete(c.Context, core.Pod, "default", name, registry.DeleteOptions{Subresource: "eviction"})
	return err
}

func budget(spec string) string {
	return "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {namespace: default, name: web}\nspec: {selector: {matchLabels: {app: web}}, " + spec + "}\n"
}

// The pods of a deployment are evicted one by one, as their replacements are ready.
func TestEvictionsWaitForReplacements(t *testing.T) {
	tell(t, func(c *controllertest.Cluster) {
		c.Apply(`apiVersion: apps/v1
kind: Deployment
metadata: {namespace: default, name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "web:1"}]}
` + "---\n" + budget("maxUnavailable: 1"))
		want(c, "web", "healthy 3 of 3, 2 wanted, 1 allowed, SufficientPods")
		first := controllertest.List[*corev1.Pod](c, "default", "app=web")
		never := func(*corev1.Pod) bool { return true }
		c.Broken.Store(&never) // no pod becomes ready
		if err := evict(c, first[0].Name); err != nil {
			t.Fatal(err)
		}
		if err := evict(c, first[1].Name); !errors.Is(err, registry.TooManyRequests) {
			t.Errorf("a second eviction at once: %v, want too many requests", err)
		}
		want(c, "web", "healthy 2 of 3, 2 wanted, 0 allowed, InsufficientPods")
		if err := evict(c, first[1].Name); !errors.Is(err, registry.TooManyRequests) {
			t.Errorf("a second eviction while the replacement is not ready: %v, want too many requests", err)
		}
		c.Broken.Store(nil)
		for _, p := range controllertest.List[*corev1.Pod](c, "default", "app=web") {
			if _, err := registry.For[*corev1.Pod](c.Registry).Modify(c.Context, "default", p.Name, func(p *corev1.Pod) error {
				p.Labels["touched"] = "yes" // for the node to look again
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		want(c, "web", "healthy 3 of 3, 2 wanted, 1 allowed, SufficientPods")
		if err := evict(c, first[1].Name); err != nil {
			t.Errorf("an eviction after the replacement is ready: %v", err)
		}
	})
}

// Pods count by the scale of what controls them, of whichever kind; a kind without scale allows nothing.
func TestBudgetOfPodsOfOtherKinds(t *testing.T) {
	tell(t, func(c *controllertest.Cluster) {
		pod := func(name string, owner *metav1.OwnerReference) {
			p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{"app": "web"}}}
			p.Spec.Containers = []corev1.Container{{Name: "c", Image: "web:1"}}
			if owner != nil {
				p.OwnerReferences = []metav1.OwnerReference{*owner}
			}
			if _, err := c.Registry.Create(c.Context, core.Pod, p, registry.WriteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		k := &schema.Kind{
			Version: schema.Version{Group: "example.com", Version: "v1", Kind: "Widget", New: schema.NewUnstructured, NewList: schema.NewUnstructuredList},
			Plural:  "widgets", Singular: "widget", Namespaced: true, Prefix: "example.com/widgets",
			Subresources: []schema.Subresource{schema.ScaleAt(".spec.size", ".status.size", "")},
		}
		if err := c.Registry.Kinds().Add(k); err != nil {
			t.Fatal(err)
		}
		widget := k.New().(*unstructured.Unstructured)
		widget.Object = map[string]any{"apiVersion": "example.com/v1", "kind": "Widget", "metadata": map[string]any{"namespace": "default", "name": "w"}, "spec": map[string]any{"size": int64(4)}}
		item, err := c.Registry.Create(c.Context, k, widget, registry.WriteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		c.Apply(budget("minAvailable: 50%"))
		want(c, "web", "healthy 0 of 0, 0 wanted, 0 allowed, InsufficientPods")
		owner := metav1.NewControllerRef(item.Object(), k.GVK())
		for _, name := range []string{"a", "b", "c"} {
			pod(name, owner)
		}
		want(c, "web", "healthy 3 of 4, 2 wanted, 1 allowed, SufficientPods")
		pod("alone", nil)
		want(c, "web", "healthy 4 of 4, 2 wanted, 2 allowed, SufficientPods")
		c.Apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {namespace: default, name: w}\n")
		config, _ := controllertest.Get[*corev1.ConfigMap](c, "default", "w")
		pod("other", metav1.NewControllerRef(config, core.ConfigMap.GVK()))
		want(c, "web", "healthy 4 of 4, 2 wanted, 0 allowed, SyncFailed configmaps does not implement the scale subresource")
		said := c.Events("web")
		for _, reason := range []string{"NoPods", "UnmanagedPods", "CalculateExpectedPodCountFailed"} {
			if !slices.Contains(said, "controllermanager "+reason) {
				t.Errorf("events %v, want %s", said, reason)
			}
		}
	})
}

// A pod that was said to be disrupted and is not deleted has the condition for two minutes.
func TestStaleConditionIsReset(t *testing.T) {
	tell(t, func(c *controllertest.Cluster) {
		c.Apply("apiVersion: v1\nkind: Pod\nmetadata: {namespace: default, name: a}\nspec: {containers: [{name: c, image: \"web:1\"}]}\n")
		_, err := registry.For[*corev1.Pod](c.Registry).ModifyStatus(c.Context, "default", "a", func(p *corev1.Pod) error {
			controller.SetPodCondition(p, corev1.DisruptionTarget, corev1.ConditionTrue, "PreemptionByScheduler", "", time.Now())
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		status := func() corev1.ConditionStatus {
			p, _ := controllertest.Get[*corev1.Pod](c, "default", "a")
			for _, cond := range p.Status.Conditions {
				if cond.Type == corev1.DisruptionTarget {
					return cond.Status
				}
			}
			return ""
		}
		time.Sleep(110 * time.Second)
		if s := status(); s != corev1.ConditionTrue {
			t.Errorf("status %q after less than two minutes", s)
		}
		time.Sleep(20 * time.Second)
		if s := status(); s != corev1.ConditionFalse {
			t.Errorf("status %q after two minutes", s)
		}
	})
}
