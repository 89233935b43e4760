package controllers_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controllertest"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
)

// widgets is a kind as a CustomResourceDefinition makes it.
func widgets() *schema.Kind {
	return &schema.Kind{
		Version: schema.Version{Group: "example.com", Version: "v1", Kind: "Widget", New: schema.NewUnstructured, NewList: schema.NewUnstructuredList},
		Plural:  "widgets", Singular: "widget", Namespaced: true, Prefix: "example.com/widgets",
	}
}

// kindStory is a cluster with a kind that comes and goes.
type kindStory struct {
	*controllertest.Cluster
	kind *schema.Kind
}

func (s *kindStory) create(k *schema.Kind, ns, name string, owners ...metav1.OwnerReference) metav1.OwnerReference {
	s.T.Helper()
	obj := k.New()
	obj.GetObjectKind().SetGroupVersionKind(k.GVK())
	obj.SetNamespace(ns)
	obj.SetName(name)
	obj.SetOwnerReferences(owners)
	item, err := s.Registry.Create(s.Context, k, obj, registry.WriteOptions{})
	if err != nil {
		s.T.Fatal(err)
	}
	return metav1.OwnerReference{APIVersion: k.APIVersion(), Kind: k.Kind, Name: name, UID: item.Object().GetUID()}
}

func (s *kindStory) delete(k *schema.Kind, ns, name string) {
	s.T.Helper()
	if _, _, err := s.Registry.Delete(s.Context, k, ns, name, registry.DeleteOptions{Propagation: "Background"}); err != nil {
		s.T.Fatal(err)
	}
}

// want waits for a minute of the bubble and compares which objects are there.
func (s *kindStory) want(when string, k *schema.Kind, ns string, want ...string) {
	s.T.Helper()
	time.Sleep(time.Minute)
	list, err := s.Registry.List(s.Context, k, ns, registry.ListOptions{})
	if err != nil {
		s.T.Fatal(err)
	}
	var got []string
	for _, it := range list.Items {
		if it.Name != "kube-root-ca.crt" {
			got = append(got, it.Name)
		}
	}
	if !slices.Equal(got, want) {
		s.T.Errorf("%s: %s in %s are %v, want %v", when, k.Plural, ns, got, want)
	}
}

// A kind that is added while the controllers run is collected, emptied and found by its owners; one that is removed holds up nothing, and
// what its objects own stays.
func TestKindsComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &kindStory{controllertest.Start(t, nil), widgets()}
		s.Ready()
		if err := s.Registry.Kinds().Add(s.kind); err != nil {
			t.Fatal(err)
		}
		s.create(s.kind, "default", "dependent", s.create(core.ConfigMap, "default", "owner"))
		s.create(core.ConfigMap, "default", "dependent", s.create(s.kind, "default", "owner"))
		s.create(core.ConfigMap, "default", "kept", s.create(s.kind, "default", "keeper"))
		s.want("all own and are owned", core.ConfigMap, "default", "dependent", "kept", "owner")
		s.delete(core.ConfigMap, "default", "owner")
		s.delete(s.kind, "default", "owner")
		s.want("owners are deleted", s.kind, "default", "keeper")
		s.want("owners are deleted", core.ConfigMap, "default", "kept")
		for _, ns := range []string{"shop", "store"} {
			s.Apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: " + ns + "}\n")
			s.create(s.kind, ns, "a")
		}
		s.delete(core.Namespace, "", "shop")
		s.want("its namespace is deleted", s.kind, "shop")
		if _, ok := controllertest.Get[*corev1.Namespace](s.Cluster, "", "shop"); ok {
			t.Error("the namespace is there after its widget")
		}

		s.Registry.Kinds().Remove(s.kind)
		s.want("the kind of its owner is removed", core.ConfigMap, "default", "kept")
		s.delete(core.Namespace, "", "store")
		time.Sleep(time.Minute)
		if _, ok := controllertest.Get[*corev1.Namespace](s.Cluster, "", "store"); ok {
			t.Error("a namespace waits for objects of a kind that is not served")
		}
		again := widgets()
		if err := s.Registry.Kinds().Add(again); err != nil {
			t.Fatal(err)
		}
		s.want("the kind is back", again, "default", "keeper")
		s.want("the kind of its owner is back", core.ConfigMap, "default", "kept")
		s.delete(again, "default", "keeper")
		s.want("its owner is deleted", core.ConfigMap, "default")
		time.Sleep(10 * time.Minute)
		s.want("what a namespace left behind while the kind was not served", again, "store")
	})
}
