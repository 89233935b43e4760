package lifecycle_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/controllers"
	"gantry/agents/controllers/controllertest"
	"gantry/registry"
	"gantry/schema/apps"
	"gantry/schema/core"
)

func complete(c *controllertest.Cluster, ns string) {
	c.T.Helper()
	c.Until(func() string {
		_, account := controllertest.Get[*corev1.ServiceAccount](c, ns, "default")
		ca, ok := controllertest.Get[*corev1.ConfigMap](c, ns, "kube-root-ca.crt")
		if !account || !ok || ca.Data["ca.crt"] != "the CA" {
			return "the service account and the CA of " + ns
		}
		return ""
	}, core.ServiceAccount, core.ConfigMap)
}

func TestNamespacesGetAccountAndCA(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	for _, ns := range []string{"default", "kube-system", "kube-public", "kube-node-lease"} {
		complete(c, ns)
	}
	c.Apply(controllertest.Shop)
	complete(c, "shop")
	if err := registry.For[*corev1.ServiceAccount](c.Registry).Delete(c.Context, "shop", "default", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := registry.For[*corev1.ConfigMap](c.Registry).Modify(c.Context, "shop", "kube-root-ca.crt", func(m *corev1.ConfigMap) error {
		m.Data["ca.crt"] = "another"
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	complete(c, "shop")
}

func TestNamespaceDeletionDeletesPodsFirst(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	c.Apply(controllertest.Shop)
	complete(c, "shop")
	c.Apply(`apiVersion: apps/v1
kind: Deployment
metadata: {namespace: shop, name: web}
spec:
  replicas: 5
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "web:1"}]}
---
apiVersion: v1
kind: Secret
metadata: {namespace: shop, name: key}
`)
	c.Until(func() string {
		if d, ok := controllertest.Get[*appsv1.Deployment](c, "shop", "web"); !ok || d.Status.AvailableReplicas != 5 {
			return "five pods"
		}
		return ""
	}, apps.Deployment)
	if err := registry.For[*corev1.Namespace](c.Registry).Delete(c.Context, "", "shop", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.Until(func() string {
		_, there := controllertest.Get[*corev1.Secret](c, "shop", "key") // before the pods are counted: they end meanwhile
		pods := len(controllertest.List[*corev1.Pod](c, "shop", ""))
		if !there && pods > 0 {
			t.Fatalf("the secret is gone before %d pods", pods)
		}
		if _, ok := controllertest.Get[*corev1.Namespace](c, "", "shop"); ok {
			return fmt.Sprintf("the namespace and %d pods to go", pods)
		}
		return ""
	}, core.Namespace, core.Pod, core.Secret)
	c.Apply(controllertest.Shop) // and again
	complete(c, "shop")
}

func TestNamespaceDeletionSaysWhatHoldsIt(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	c.Apply(controllertest.Shop)
	complete(c, "shop")
	c.Apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {namespace: shop, name: held, finalizers: [example.com/hold]}\n")
	if err := registry.For[*corev1.Namespace](c.Registry).Delete(c.Context, "", "shop", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.Until(func() string {
		ns, ok := controllertest.Get[*corev1.Namespace](c, "", "shop")
		if !ok {
			t.Fatal("the namespace is gone, and its config map was held")
		}
		got := map[corev1.NamespaceConditionType]string{}
		for _, cond := range ns.Status.Conditions {
			if cond.Status == corev1.ConditionTrue {
				got[cond.Type] = cond.Reason + ": " + cond.Message
			}
		}
		want := map[corev1.NamespaceConditionType]string{
			corev1.NamespaceContentRemaining:    "SomeResourcesRemain: Some resources are remaining: configmaps. has 1 resource instances",
			corev1.NamespaceFinalizersRemaining: "SomeFinalizersRemain: Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances",
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Sprintf("conditions %v, have %v", want, got)
		}
		return ""
	}, core.Namespace)
	_, err := registry.For[*corev1.ConfigMap](c.Registry).Modify(c.Context, "shop", "held", func(m *corev1.ConfigMap) error {
		m.Finalizers = nil
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Until(func() string {
		if _, ok := controllertest.Get[*corev1.Namespace](c, "", "shop"); ok {
			return "the namespace to go"
		}
		return ""
	}, core.Namespace)
}

// TestNamespaceDeletionIsQuiet: the replica set of a namespace being deleted misses its pods and may make none. That is no
// failure, and what the emptying deletes is a line for each kind.
func TestNamespaceDeletionIsQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &controllertest.LogBuffer{}
		c := controllertest.Start(t, func(cfg *controllers.Config) { cfg.Log = slog.New(slog.NewTextHandler(log, nil)) })
		c.Ready()
		c.Apply(controllertest.Shop)
		time.Sleep(time.Minute)
		c.Apply(strings.Replace(strings.Replace(controllertest.ReplicaSet, "default", "shop", 1), "replicas: 2", "replicas: 8", 1))
		time.Sleep(time.Minute)
		if pods, events := len(controllertest.List[*corev1.Pod](c, "shop", "")), len(controllertest.List[*corev1.Event](c, "shop", "")); pods != 8 || events < 8 {
			t.Fatalf("%d pods and %d events, want 8", pods, events)
		}
		held := controllertest.List[*corev1.Pod](c, "shop", "")[0].Name
		hold := func(finalizers ...string) {
			_, err := registry.For[*corev1.Pod](c.Registry).Modify(c.Context, "shop", held, func(p *corev1.Pod) error { p.Finalizers = finalizers; return nil })
			if err != nil {
				t.Fatal(err)
			}
		}
		hold("example.com/hold") // while it is there the rest stays, its replica set too
		if err := registry.For[*corev1.Namespace](c.Registry).Delete(c.Context, "", "shop", registry.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if rs, ok := controllertest.Get[*appsv1.ReplicaSet](c, "shop", "web"); !ok || rs.Status.Replicas != 0 || len(rs.Status.Conditions) != 0 {
			t.Errorf("the replica set's status is %+v, want no pods and no failure", rs.Status)
		}
		hold()
		time.Sleep(5 * time.Minute)
		if _, ok := controllertest.Get[*corev1.Namespace](c, "", "shop"); ok {
			t.Errorf("the namespace is still there:\n%s", c.Dump())
		}
		if lines := log.Lines("reconcile failed"); len(lines) > 0 {
			t.Errorf("failures are logged:\n%s", lines)
		}
		for _, kind := range []string{"Event", "Pod"} {
			if lines := log.Lines(`msg="object deleted"`, "kind="+kind+" "); len(lines) > 0 {
				t.Errorf("%d lines for single objects: %s", len(lines), lines[0])
			}
			if lines := log.Lines(`msg="objects deleted"`, "kind="+kind+" ", "ns=shop"); len(lines) != 1 {
				t.Errorf("%d lines for the objects of kind %s, want 1: %s", len(lines), kind, lines)
			}
		}
	})
}
