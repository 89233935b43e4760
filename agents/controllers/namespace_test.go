package controllers

import (
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"gantry/registry"
	"gantry/schema/apps"
	"gantry/schema/core"
)

const shop = `apiVersion: v1
kind: Namespace
metadata: {name: shop}
`

func (c *cluster) furnished(ns string) {
	c.t.Helper()
	c.until(func() string {
		_, account := get[*corev1.ServiceAccount](c, ns, "default")
		ca, ok := get[*corev1.ConfigMap](c, ns, rootCAName)
		if !account || !ok || ca.Data[rootCAKey] != "the CA" {
			return "the service account and the CA of " + ns
		}
		return ""
	}, core.ServiceAccount, core.ConfigMap)
}

func TestNamespacesAreFurnished(t *testing.T) {
	c := start(t, nil)
	c.ready()
	for _, ns := range firstNamespaces {
		c.furnished(ns)
	}
	c.apply(shop)
	c.furnished("shop")
	if err := registry.For[*corev1.ServiceAccount](c.r).Delete(c.ctx, "shop", "default", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := registry.For[*corev1.ConfigMap](c.r).Modify(c.ctx, "shop", rootCAName, func(m *corev1.ConfigMap) error {
		m.Data[rootCAKey] = "another"
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	c.furnished("shop")
}

func TestNamespaceDeletionTakesPodsFirst(t *testing.T) {
	c := start(t, nil)
	c.ready()
	c.apply(shop)
	c.furnished("shop")
	c.apply(`apiVersion: apps/v1
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
	c.until(func() string {
		if d, ok := get[*appsv1.Deployment](c, "shop", "web"); !ok || d.Status.AvailableReplicas != 5 {
			return "five pods"
		}
		return ""
	}, apps.Deployment)
	if err := registry.For[*corev1.Namespace](c.r).Delete(c.ctx, "", "shop", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.until(func() string {
		_, there := get[*corev1.Secret](c, "shop", "key") // before the pods are counted: they end meanwhile
		pods := len(list[*corev1.Pod](c, "shop", ""))
		if !there && pods > 0 {
			t.Fatalf("the secret is gone before %d pods", pods)
		}
		if _, ok := get[*corev1.Namespace](c, "", "shop"); ok {
			return fmt.Sprintf("the namespace and %d pods to go", pods)
		}
		return ""
	}, core.Namespace, core.Pod, core.Secret)
	c.apply(shop) // and again
	c.furnished("shop")
}

func TestNamespaceDeletionSaysWhatHoldsIt(t *testing.T) {
	c := start(t, nil)
	c.ready()
	c.apply(shop)
	c.furnished("shop")
	c.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {namespace: shop, name: held, finalizers: [example.com/hold]}\n")
	if err := registry.For[*corev1.Namespace](c.r).Delete(c.ctx, "", "shop", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.until(func() string {
		ns, ok := get[*corev1.Namespace](c, "", "shop")
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
	_, err := registry.For[*corev1.ConfigMap](c.r).Modify(c.ctx, "shop", "held", func(m *corev1.ConfigMap) error {
		m.Finalizers = nil
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	c.until(func() string {
		if _, ok := get[*corev1.Namespace](c, "", "shop"); ok {
			return "the namespace to go"
		}
		return ""
	}, core.Namespace)
}
