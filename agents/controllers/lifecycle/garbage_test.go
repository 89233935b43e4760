package lifecycle_test

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controllertest"
	"gantry/registry"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/core"
)

// owned creates a config map with owners.
func owned(c *controllertest.Cluster, ns, name string, owners ...metav1.OwnerReference) *corev1.ConfigMap {
	c.T.Helper()
	m, err := registry.For[*corev1.ConfigMap](c.Registry).Create(c.Context, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, OwnerReferences: owners}})
	if err != nil {
		c.T.Fatal(err)
	}
	return m
}

func ref(k *schema.Kind, obj metav1.Object, blocks bool) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: k.APIVersion(), Kind: k.Kind, Name: obj.GetName(), UID: obj.GetUID(), BlockOwnerDeletion: &blocks}
}

// names of the config maps of these tests that are left.
func left(c *controllertest.Cluster, ns string) (out []string) {
	for _, m := range controllertest.List[*corev1.ConfigMap](c, ns, "") {
		if m.Name != "kube-root-ca.crt" {
			out = append(out, m.Name)
		}
	}
	return out
}

func untilLeft(c *controllertest.Cluster, ns string, want ...string) {
	c.T.Helper()
	c.Until(func() string {
		if got := left(c, ns); !slices.Equal(got, want) {
			return fmt.Sprintf("%v to be left, have %v", want, got)
		}
		return ""
	}, core.ConfigMap)
}

func deleteMap(c *controllertest.Cluster, name, propagation string) {
	c.T.Helper()
	if err := registry.For[*corev1.ConfigMap](c.Registry).Delete(c.Context, "default", name, registry.DeleteOptions{Propagation: propagation}); err != nil {
		c.T.Fatal(err)
	}
}

func TestGarbageFollowsChains(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	a := owned(c, "default", "a")
	b := owned(c, "default", "b", ref(core.ConfigMap, a, false))
	owned(c, "default", "c", ref(core.ConfigMap, b, false))
	d := owned(c, "default", "d")
	owned(c, "default", "e", ref(core.ConfigMap, a, false), ref(core.ConfigMap, d, false))
	deleteMap(c, "a", "Background")
	untilLeft(c, "default", "d", "e")
	c.Until(func() string {
		if e, _ := controllertest.Get[*corev1.ConfigMap](c, "default", "e"); len(e.OwnerReferences) != 1 {
			return "e to have one owner"
		}
		return ""
	}, core.ConfigMap)
}

func TestGarbageOfOwnersThatNeverWere(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	ghost := metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "ghost", UID: "1"}
	foreign := metav1.OwnerReference{APIVersion: "example.com/v1", Kind: "Widget", Name: "w", UID: "2"}
	real := owned(c, "default", "real")
	sameName := ref(core.ConfigMap, real, false)
	sameName.UID = "3"
	owned(c, "default", "a", ghost)
	owned(c, "default", "b", sameName)
	owned(c, "default", "kept", foreign)
	untilLeft(c, "default", "kept", "real")
}

func TestGarbageForegroundWaits(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	a := owned(c, "default", "a")
	held, err := registry.For[*corev1.ConfigMap](c.Registry).Create(c.Context, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: "default", Name: "held", Finalizers: []string{"example.com/hold"}, OwnerReferences: []metav1.OwnerReference{ref(core.ConfigMap, a, true)}}})
	if err != nil {
		t.Fatal(err)
	}
	owned(c, "default", "free", ref(core.ConfigMap, a, false))
	deleteMap(c, "a", "Foreground")
	untilLeft(c, "default", "a", "held")
	if m, _ := controllertest.Get[*corev1.ConfigMap](c, "default", "held"); m.DeletionTimestamp == nil {
		c.Until(func() string {
			if m, _ := controllertest.Get[*corev1.ConfigMap](c, "default", "held"); m.DeletionTimestamp == nil {
				return "held to be deleted"
			}
			return ""
		}, core.ConfigMap)
	}
	_, err = registry.For[*corev1.ConfigMap](c.Registry).Modify(c.Context, "default", held.Name, func(m *corev1.ConfigMap) error { m.Finalizers = nil; return nil })
	if err != nil {
		t.Fatal(err)
	}
	untilLeft(c, "default")
}

func TestGarbageOrphans(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	a := owned(c, "default", "a")
	owned(c, "default", "b", ref(core.ConfigMap, a, true))
	deleteMap(c, "a", "Orphan")
	untilLeft(c, "default", "b")
	if b, _ := controllertest.Get[*corev1.ConfigMap](c, "default", "b"); len(b.OwnerReferences) > 0 {
		t.Errorf("b has still the owners %v", b.OwnerReferences)
	}
}

func TestGarbageCyclesEnd(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	const n = 10
	var maps []*corev1.ConfigMap
	for i := range n {
		var owners []metav1.OwnerReference
		if i > 0 {
			owners = append(owners, ref(core.ConfigMap, maps[i-1], true))
		}
		maps = append(maps, owned(c, "default", fmt.Sprint("m", i), owners...))
	}
	_, err := registry.For[*corev1.ConfigMap](c.Registry).Modify(c.Context, "default", "m0", func(m *corev1.ConfigMap) error {
		m.OwnerReferences = []metav1.OwnerReference{ref(core.ConfigMap, maps[n-1], true)}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	deleteMap(c, "m4", "Foreground")
	untilLeft(c, "default")
}

func TestGarbageKnowsNamespaces(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	c.Apply(controllertest.Shop)
	complete(c, "shop")
	owner := owned(c, "shop", "owner")
	owned(c, "default", "stray", ref(core.ConfigMap, owner, false))
	untilLeft(c, "default")
	c.Until(func() string {
		if !slices.Contains(c.Events("stray"), "garbage-collector-controller OwnerRefInvalidNamespace") {
			return "the event OwnerRefInvalidNamespace"
		}
		return ""
	}, core.Event)
	if got := left(c, "shop"); !slices.Equal(got, []string{"owner"}) {
		t.Errorf("left in shop: %v, want the owner", got)
	}
}

// An owner and its dependent that vanished and are put back (gantry undo, etcdctl) stay.
func TestGarbageLeavesWhatWasPutBack(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	a := owned(c, "default", "a")
	owned(c, "default", "b", ref(core.ConfigMap, a, false))
	values := map[string][]byte{}
	for _, name := range []string{"a", "b"} {
		kv, _, err := c.Store.Get(c.Context, "/registry/configmaps/default/"+name, 0)
		if err != nil {
			t.Fatal(err)
		}
		values[name] = kv.Value
	}
	deleteMap(c, "a", "Background")
	untilLeft(c, "default")
	put := func(name string) {
		if _, err := c.Store.Commit(c.Context, store.Txn{Puts: []store.Put{{Key: "/registry/configmaps/default/" + name, Value: values[name]}}}); err != nil {
			t.Fatal(err)
		}
	}
	put("a")
	put("b")
	for range 3 { // the garbage collector has looked at b when it has done so at what came later
		owned(c, "default", "stray", metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "ghost", UID: "9"})
		untilLeft(c, "default", "a", "b")
	}
}
