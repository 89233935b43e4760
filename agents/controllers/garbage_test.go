package controllers

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
)

func TestOwnedPlans(t *testing.T) {
	tests := []struct {
		name              string
		found             []owning
		finalizer         string
		dependents, cycle bool
		want              []string
	}{
		{"all there", []owning{present, present}, "", false, false, nil},
		{"one of two gone", []owning{present, absent}, "", false, false, []string{"update keeping 1"}},
		{"one of two waits", []owning{present, expecting}, "", true, false, []string{"update keeping 1"}},
		{"all gone", []owning{absent, absent}, "", false, false, []string{"delete Background"}},
		{"the owner waits", []owning{expecting}, "", false, false, []string{"delete Background"}},
		{"the owner waits, and it has dependents", []owning{expecting}, "", true, false, []string{"delete Foreground"}},
		{"a cycle", []owning{expecting}, "", true, true, []string{"update keeping 1", "delete Foreground"}},
		{"it wants to orphan", []owning{absent}, metav1.FinalizerOrphanDependents, true, false, []string{"delete Orphan"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			obj := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "x", UID: "x"}}
			for i := range tt.found {
				obj.OwnerReferences = append(obj.OwnerReferences, metav1.OwnerReference{UID: types.UID(fmt.Sprint("o", i))})
			}
			if tt.finalizer != "" {
				obj.Finalizers = []string{tt.finalizer}
			}
			var got []string
			for _, a := range planOwned(core.ConfigMap, obj, tt.found, tt.dependents, tt.cycle) {
				if a.do == remove {
					got = append(got, "delete "+a.options.Propagation)
				} else {
					got = append(got, fmt.Sprint("update keeping ", len(a.obj.GetOwnerReferences())))
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// owned creates a config map with owners.
func (c *cluster) owned(ns, name string, owners ...metav1.OwnerReference) *corev1.ConfigMap {
	c.t.Helper()
	m, err := registry.For[*corev1.ConfigMap](c.r).Create(c.ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, OwnerReferences: owners}})
	if err != nil {
		c.t.Fatal(err)
	}
	return m
}

func ref(k *schema.Kind, obj metav1.Object, blocks bool) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: k.APIVersion(), Kind: k.Kind, Name: obj.GetName(), UID: obj.GetUID(), BlockOwnerDeletion: &blocks}
}

// names of the config maps of these tests that are left.
func (c *cluster) left(ns string) (out []string) {
	for _, m := range list[*corev1.ConfigMap](c, ns, "") {
		if m.Name != rootCAName {
			out = append(out, m.Name)
		}
	}
	return out
}

func (c *cluster) untilLeft(ns string, want ...string) {
	c.t.Helper()
	c.until(func() string {
		if got := c.left(ns); !slices.Equal(got, want) {
			return fmt.Sprintf("%v to be left, have %v", want, got)
		}
		return ""
	}, core.ConfigMap)
}

func (c *cluster) deleteMap(name, propagation string) {
	c.t.Helper()
	if err := registry.For[*corev1.ConfigMap](c.r).Delete(c.ctx, "default", name, registry.DeleteOptions{Propagation: propagation}); err != nil {
		c.t.Fatal(err)
	}
}

func TestGarbageFollowsChains(t *testing.T) {
	c := start(t, nil)
	c.ready()
	a := c.owned("default", "a")
	b := c.owned("default", "b", ref(core.ConfigMap, a, false))
	c.owned("default", "c", ref(core.ConfigMap, b, false))
	d := c.owned("default", "d")
	c.owned("default", "e", ref(core.ConfigMap, a, false), ref(core.ConfigMap, d, false))
	c.deleteMap("a", "Background")
	c.untilLeft("default", "d", "e")
	c.until(func() string {
		if e, _ := get[*corev1.ConfigMap](c, "default", "e"); len(e.OwnerReferences) != 1 {
			return "e to have one owner"
		}
		return ""
	}, core.ConfigMap)
}

func TestGarbageOfOwnersThatNeverWere(t *testing.T) {
	c := start(t, nil)
	c.ready()
	ghost := metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "ghost", UID: "1"}
	foreign := metav1.OwnerReference{APIVersion: "example.com/v1", Kind: "Widget", Name: "w", UID: "2"}
	real := c.owned("default", "real")
	sameName := ref(core.ConfigMap, real, false)
	sameName.UID = "3"
	c.owned("default", "a", ghost)
	c.owned("default", "b", sameName)
	c.owned("default", "kept", foreign)
	c.untilLeft("default", "kept", "real")
}

func TestGarbageForegroundWaits(t *testing.T) {
	c := start(t, nil)
	c.ready()
	a := c.owned("default", "a")
	held, err := registry.For[*corev1.ConfigMap](c.r).Create(c.ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: "default", Name: "held", Finalizers: []string{"example.com/hold"}, OwnerReferences: []metav1.OwnerReference{ref(core.ConfigMap, a, true)}}})
	if err != nil {
		t.Fatal(err)
	}
	c.owned("default", "free", ref(core.ConfigMap, a, false))
	c.deleteMap("a", "Foreground")
	c.untilLeft("default", "a", "held")
	if m, _ := get[*corev1.ConfigMap](c, "default", "held"); m.DeletionTimestamp == nil {
		c.until(func() string {
			if m, _ := get[*corev1.ConfigMap](c, "default", "held"); m.DeletionTimestamp == nil {
				return "held to be deleted"
			}
			return ""
		}, core.ConfigMap)
	}
	_, err = registry.For[*corev1.ConfigMap](c.r).Modify(c.ctx, "default", held.Name, func(m *corev1.ConfigMap) error { m.Finalizers = nil; return nil })
	if err != nil {
		t.Fatal(err)
	}
	c.untilLeft("default")
}

func TestGarbageOrphans(t *testing.T) {
	c := start(t, nil)
	c.ready()
	a := c.owned("default", "a")
	c.owned("default", "b", ref(core.ConfigMap, a, true))
	c.deleteMap("a", "Orphan")
	c.untilLeft("default", "b")
	if b, _ := get[*corev1.ConfigMap](c, "default", "b"); len(b.OwnerReferences) > 0 {
		t.Errorf("b has still the owners %v", b.OwnerReferences)
	}
}

func TestGarbageCyclesEnd(t *testing.T) {
	c := start(t, nil)
	c.ready()
	const n = 10
	var maps []*corev1.ConfigMap
	for i := range n {
		var owners []metav1.OwnerReference
		if i > 0 {
			owners = append(owners, ref(core.ConfigMap, maps[i-1], true))
		}
		maps = append(maps, c.owned("default", fmt.Sprint("m", i), owners...))
	}
	_, err := registry.For[*corev1.ConfigMap](c.r).Modify(c.ctx, "default", "m0", func(m *corev1.ConfigMap) error {
		m.OwnerReferences = []metav1.OwnerReference{ref(core.ConfigMap, maps[n-1], true)}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	c.deleteMap("m4", "Foreground")
	c.untilLeft("default")
}

func TestGarbageKnowsNamespaces(t *testing.T) {
	c := start(t, nil)
	c.ready()
	c.apply(shop)
	c.furnished("shop")
	owner := c.owned("shop", "owner")
	c.owned("default", "stray", ref(core.ConfigMap, owner, false))
	c.untilLeft("default")
	c.until(func() string {
		if !slices.Contains(c.events("stray"), "garbage-collector-controller OwnerRefInvalidNamespace") {
			return "the event OwnerRefInvalidNamespace"
		}
		return ""
	}, core.Event)
	if got := c.left("shop"); !slices.Equal(got, []string{"owner"}) {
		t.Errorf("left in shop: %v, want the owner", got)
	}
}
