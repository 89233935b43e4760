package kinds

import (
	"math/rand"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
	"gantry/schema/kinds/kindstest"
)

// everything calls each function of k on obj as a write of it would.
func everything(k *schema.Kind, obj, old schema.Object) {
	if k.Default != nil {
		k.Default(obj)
	}
	clone := func() schema.Object { return obj.DeepCopyObject().(schema.Object) }
	schema.ValidateMeta(k, obj)
	schema.ValidateMetaUpdate(k, obj, old, k.UpdateMeta)
	if k.ValidateName != nil {
		k.ValidateName(obj.GetName(), true)
	}
	if k.PrepareCreate != nil {
		k.PrepareCreate(clone())
	}
	if k.Warnings != nil {
		k.Warnings(obj, nil)
		k.Warnings(obj, old)
	}
	for _, f := range k.Fields {
		f.Value(obj)
	}
	if k.Grace != nil {
		k.Grace(obj, nil)
	}
	if k.Scale() != nil {
		k.Scale().Get(obj)
		k.Scale().Set(clone(), -1)
	}
	if k.Row != nil {
		k.Row(obj, metav1.Now())
	}
	if k.PrepareUpdate != nil {
		k.PrepareUpdate(clone(), old)
	}
	for _, v := range append(k.Versions, k.Stored()) {
		k.ErrorsOf(v, obj, nil)
		k.ErrorsOf(v, obj, old)
	}
	for _, s := range k.Subresources {
		if s.IsPart() {
			s.Prepare(clone(), old)
			s.Validate(obj, old)
		}
	}
}

// inOtherVersions converts obj to each other version and back, as a write of it there would.
func inOtherVersions(t *testing.T, k *schema.Kind, obj schema.Object) {
	t.Helper()
	k.SetTypeMeta(obj)
	for _, v := range k.Versions {
		there, err := schema.FromStored(t.Context(), k, v, []schema.Object{obj.DeepCopyObject().(schema.Object)})
		if err != nil {
			t.Fatalf("%s in %s: %v", k.Kind, v.APIVersion(), err)
		}
		if v.Row != nil {
			v.Row(there[0], metav1.Now())
		}
		if v.Default != nil {
			v.Default(there[0])
		}
		if _, err := schema.ToStored(t.Context(), k, v, there); err != nil {
			t.Fatalf("%s of %s: %v", k.Kind, v.APIVersion(), err)
		}
	}
}

// TestRandomObjects checks, with random objects of every kind, that no function panics, that Default is idempotent, that Fields always has
// the same keys, and that an update does not change the old object.
func TestRandomObjects(t *testing.T) {
	for _, k := range BuiltIn().All {
		t.Run(k.Kind, func(t *testing.T) {
			f := kindstest.Filler(rand.NewSource(1))
			old := k.New()
			for i := range 60 {
				obj := k.New()
				f.NilChance([]float64{0, .3, .7, .95}[i%4]).NumElements(0, 1+i%3).Fill(obj)
				before := old.DeepCopyObject()
				everything(k, obj, old)
				inOtherVersions(t, k, obj)
				if !reflect.DeepEqual(before, old) {
					t.Fatalf("object %d changed the old one:\n%s", i, cmp.Diff(before, old))
				}
				if k.Default != nil {
					once := obj.DeepCopyObject()
					k.Default(obj)
					if !reflect.DeepEqual(once, obj) {
						t.Fatalf("object %d: Default twice (-once +twice):\n%s", i, cmp.Diff(once, obj))
					}
				}
				old = obj
			}
		})
	}
}

// TestHostileObjects reads values that may be in etcd if written by hand.
func TestHostileObjects(t *testing.T) {
	for _, text := range []string{
		`{}`, `{"metadata":null,"spec":null,"status":null}`, `{"metadata":{"labels":null,"finalizers":[""],"ownerReferences":[{}]}}`,
		`{"spec":{"containers":[null,{"ports":[null],"env":[null,{"valueFrom":{}}],"volumeMounts":[null],"resources":{"limits":{"":"1"}}}],"volumes":[null]}}`,
		`{"spec":{"replicas":-2147483648,"selector":{"matchExpressions":[{"operator":"?"}]},"strategy":{"rollingUpdate":{"maxSurge":"%"}}}}`,
		`{"spec":{"clusterIPs":[""],"ipFamilies":["x","x"],"ports":[null,{"port":-1,"targetPort":""}],"externalIPs":["."],"sessionAffinity":"ClientIP","sessionAffinityConfig":{}}}`,
		`{"spec":{"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{}},"podAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[null]}},"topologySpreadConstraints":[null]}}`,
		`{"spec":{"podCIDRs":["","x"],"taints":[null]},"status":{"capacity":{"cpu":"-5E"},"addresses":[null]}}`,
		`{"subsets":[null,{"addresses":[null],"ports":[null]}],"endpoints":[null,{"addresses":[""],"hints":{}}],"ports":[null,{}]}`,
		`{"status":{"loadBalancer":{"ingress":[null]},"containerStatuses":[null,{"state":null}],"conditions":[null],"podIPs":[null]}}`,
	} {
		for _, k := range BuiltIn().All {
			obj, _, err := schema.Decode(k.Stored(), []byte(text))
			if err != nil {
				continue // refused: as good
			}
			everything(k, obj, k.New())
			everything(k, k.New(), obj)
		}
	}
}

// TestTable checks that each kind is found by each of its names, and that no name is used twice.
func TestTable(t *testing.T) {
	seen, all := map[string]string{}, BuiltIn()
	for _, k := range all.All {
		if all.Resource(k.Group, k.Plural) != k || all.Served(k.Group, k.Version.Version, k.Plural).Kind != k || all.Kind(k.APIVersion(), k.Kind) != k || all.Of(k.Type()) != k {
			t.Errorf("%s is not found by its names", k.Kind)
		}
		for _, name := range append([]string{k.Plural, k.Singular}, k.ShortNames...) {
			if other := seen[name]; other != "" && other != k.Kind {
				t.Errorf("%q names %s and %s", name, other, k.Kind)
			}
			seen[name] = k.Kind
		}
		key := k.Prefix + "/ns/name"
		if !k.Namespaced {
			key = k.Prefix + "/name"
		}
		if got, _, name, ok := all.Key(key); got != k || name != "name" || !ok {
			t.Errorf("key %s is of %v, %q, %v", key, got, name, ok)
		}
		if k.Validate == nil || k.ValidateUpdate == nil {
			t.Errorf("%s lacks a function", k.Kind)
		}
		for _, s := range k.Subresources {
			if k.Subresource(s.Name).Name != s.Name || len(s.Verbs) == 0 || (s.Prepare != nil) != (s.Validate != nil) || (s.Scale != nil) != (s.Name == "scale") {
				t.Errorf("the row of %s/%s lacks something", k.Plural, s.Name)
			}
		}
	}
}
