package registry_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/apps"
	"gantry/schema/core"
)

const (
	appliedPod = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"default"},"spec":{"containers":[{"name":"c","image":"i"}]}}`
	appliedMap = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m","namespace":"default"},"data":{"x":"1"}}`
)

func applied(t *testing.T, r *registry.Registry, k *schema.Kind, name, config, manager string) *registry.Item {
	t.Helper()
	it, _, err := r.Apply(context.Background(), k, "default", name, registry.Application{Config: []byte(config)}, registry.WriteOptions{FieldManager: manager})
	if err != nil {
		t.Fatal(err)
	}
	return it
}

// managersOf are "manager operation[/subresource] fields" of an item's managedFields, sorted.
func managersOf(it *registry.Item) []string {
	var out []string
	for _, e := range it.Object().GetManagedFields() {
		text := e.Manager + " " + string(e.Operation)
		if e.Subresource != "" {
			text += "/" + e.Subresource
		}
		out = append(out, text+" "+string(e.FieldsV1.Raw))
	}
	slices.Sort(out)
	return out
}

func wantManagers(t *testing.T, it *registry.Item, want ...string) {
	t.Helper()
	if got := managersOf(it); !slices.Equal(got, want) {
		t.Errorf("managers\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestWritesOfAgentsAreManaged: what an agent writes of an applied object is recorded under its name, at each part.
func TestWritesOfAgentsAreManaged(t *testing.T) {
	r, _ := registrytest.New(t)
	ctx := context.Background()
	it := applied(t, r, core.Pod, "p", appliedPod, "a")
	mine := `a Apply {"f:spec":{"f:containers":{"k:{\"name\":\"c\"}":{".":{},"f:image":{},"f:name":{}}}}}`
	wantManagers(t, it, mine)

	it, err := r.Bind(ctx, "default", "p", &corev1.Binding{Target: corev1.ObjectReference{Name: "n1"}}, registry.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	wantManagers(t, it, mine, `test Update/binding {"f:spec":{"f:nodeName":{}},"f:status":{"f:conditions":{".":{},"k:{\"type\":\"PodScheduled\"}":`+
		`{".":{},"f:lastProbeTime":{},"f:lastTransitionTime":{},"f:status":{},"f:type":{}}}}}`)

	it = registrytest.Modify(t, r, "default", "p", "status", func(p *corev1.Pod) { p.Status.Message = "m"; p.Labels = map[string]string{"ignored": "1"} })
	if got := strings.Join(managersOf(it), "\n"); !strings.Contains(got, `test Update/status {"f:status":{"f:message":{}}}`) && !strings.Contains(got, `"f:message":{}`) {
		t.Errorf("managers\n%s", got)
	}
	before := it
	if it = registrytest.Modify(t, r, "default", "p", "status", func(p *corev1.Pod) { p.Status.Message = "m" }); it.Revision != before.Revision {
		t.Errorf("a write that changes nothing made revision %d of %d", it.Revision, before.Revision)
	}
}

// TestUnmanagedObjects: an object that is not applied has no managedFields, whoever writes it.
func TestUnmanagedObjects(t *testing.T) {
	r, _ := registrytest.New(t)
	ctx := context.Background()
	if _, err := r.Create(ctx, core.Pod, registrytest.Pod("p"), registry.WriteOptions{FieldManager: "kubectl-create"}); err != nil {
		t.Fatal(err)
	}
	wantManagers(t, registrytest.Modify(t, r, "default", "p", "", func(p *corev1.Pod) { p.Labels = map[string]string{"a": "b"} }))
}

// TestApplyAgain repeats a conflicting write of two registries: neither loses the other's fields.
func TestApplyAgain(t *testing.T) {
	etcd := store.NewFake()
	first := registrytest.On(t, etcd)
	registrytest.Namespace(t, first, "default")
	second := registrytest.On(t, etcd)
	for i := range 10 {
		for _, r := range []*registry.Registry{first, second} {
			name := map[*registry.Registry]string{first: "first", second: "second"}[r]
			config := fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m","namespace":"default"},"data":{%q:"%d"}}`, name, i)
			applied(t, r, core.ConfigMap, "m", config, name)
		}
	}
	it, err := first.Get(context.Background(), core.ConfigMap, "default", "m", "")
	if err != nil {
		t.Fatal(err)
	}
	wantManagers(t, it, `first Apply {"f:data":{"f:first":{}}}`, `second Apply {"f:data":{"f:second":{}}}`)
}

// TestApplyErrors are those that the registry adds to package apply's.
func TestApplyErrors(t *testing.T) {
	r, _ := registrytest.New(t)
	refused := errors.New("refused")
	for name, tt := range map[string]struct {
		k       *schema.Kind
		name    string
		config  string
		check   error
		options registry.WriteOptions
		want    error
	}{
		"a subresource of nothing": {core.Pod, "none", appliedPod, nil, registry.WriteOptions{Subresource: "status"}, registry.NotFound},
		"a scale of nothing":       {apps.Deployment, "none", `{}`, nil, registry.WriteOptions{Subresource: "scale"}, registry.NotFound},
		"a revision of nothing":    {core.ConfigMap, "none", appliedMap, nil, registry.WriteOptions{ResourceVersion: "1"}, registry.Conflict},
		"a uid of nothing":         {core.ConfigMap, "none", appliedMap, nil, registry.WriteOptions{UID: "u"}, registry.Conflict},
		"no name":                  {core.ConfigMap, "a/b", appliedMap, nil, registry.WriteOptions{}, registry.BadRequest},
		"a check":                  {core.ConfigMap, "m", appliedMap, refused, registry.WriteOptions{}, refused},
		"creation":                 {core.ConfigMap, "m", appliedMap, nil, registry.WriteOptions{Create: func() error { return refused }}, refused},
		"an invalid object":        {core.Pod, "p", strings.Replace(appliedPod, `"i"`, `""`, 1), nil, registry.WriteOptions{}, registry.Invalid},
		"an unknown subresource":   {core.ConfigMap, "m", appliedMap, nil, registry.WriteOptions{Subresource: "status"}, registry.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			tt.options.FieldManager = "a"
			a := registry.Application{Config: []byte(tt.config), Check: func(_, _ schema.Object) error { return tt.check }}
			if _, _, err := r.Apply(context.Background(), tt.k, "default", tt.name, a, tt.options); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

// TestBrokenManagedFields: whatever etcd holds there, an object can be written, by replacing it and by part.
func TestBrokenManagedFields(t *testing.T) {
	for name, entries := range map[string]string{
		"no operation": `[{"manager":"m"}]`, "a long name": `[{"manager":"` + strings.Repeat("m", 1000) + `","operation":"Apply","apiVersion":"apps/v1","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{}}}]`,
		"no path": `[{"manager":"m","operation":"Apply","apiVersion":"apps/v1","fieldsType":"FieldsV1","fieldsV1":{"x":{}}}]`, "a number": `[{"manager":"m","operation":"Apply","apiVersion":"apps/v1","fieldsType":"FieldsV1","fieldsV1":1}]`,
		"deep":  `[{"manager":"m","operation":"Apply","apiVersion":"apps/v1","fieldsType":"FieldsV1","fieldsV1":` + strings.Repeat(`{"f:a":`, 220) + "{}" + strings.Repeat("}", 220) + `}]`,
		"empty": `[]`, "one empty": `[{}]`, "another version": `[{"manager":"m","operation":"Apply","apiVersion":"apps/v9","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"f:replicas":{}}}}]`,
	} {
		t.Run(name, func(t *testing.T) {
			etcd := store.NewFake()
			r := registrytest.On(t, etcd)
			registrytest.Namespace(t, r, "default")
			value := `{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"d","namespace":"default","uid":"0f8fad5b-d9cb-469f-a165-70867728950e","creationTimestamp":"2026-01-01T00:00:00Z","managedFields":` + entries + `},` +
				`"spec":{"replicas":1,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}`
			ctx := context.Background()
			if _, err := etcd.Commit(ctx, store.Txn{Puts: []store.Put{{Key: "/registry/deployments/default/d", Value: []byte(value)}}}); err != nil {
				t.Fatal(err)
			}
			it, err := r.Get(ctx, apps.Deployment, "default", "d", "")
			if err != nil {
				t.Fatal(err)
			}
			read := it.Object().DeepCopyObject().(*appsv1.Deployment)
			read.Spec.Paused = true
			if _, err := r.Update(ctx, apps.Deployment, read, registry.WriteOptions{FieldManager: "u"}); err != nil {
				t.Errorf("written as it was read: %v", err)
			}
			if _, err := r.Modify(ctx, apps.Deployment, "default", "d", func(o schema.Object) (schema.Object, error) {
				o.(*appsv1.Deployment).Status.Replicas = 1
				return o, nil
			}, registry.WriteOptions{Subresource: "status"}); err != nil {
				t.Errorf("status: %v", err)
			}
			config := `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d","namespace":"default","labels":{"l":"1"}}}`
			for _, e := range applied(t, r, apps.Deployment, "d", config, "a").Object().GetManagedFields() {
				if e.Manager == "" || len(e.Manager) > 128 || e.APIVersion != "apps/v1" {
					t.Errorf("entry %v is left", e)
				}
			}
		})
	}
}

// TestTooLargeWithManagedFields: an update that fits without managedFields is stored without them; an apply is refused.
func TestTooLargeWithManagedFields(t *testing.T) {
	r, _ := registrytest.New(t)
	ctx := context.Background()
	applied(t, r, core.ConfigMap, "m", appliedMap, "a")
	data := map[string]string{"big": strings.Repeat("x", 950<<10)}
	for i := range 9000 {
		data[fmt.Sprintf("%s%d", strings.Repeat("k", 40), i)] = ""
	}
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "m", Namespace: "default"}, Data: data}
	it, err := r.Update(ctx, core.ConfigMap, cm, registry.WriteOptions{FieldManager: "u"})
	if err != nil {
		t.Fatal(err)
	}
	wantManagers(t, it)
	cm.TypeMeta = metav1.TypeMeta{Kind: "ConfigMap", APIVersion: "v1"}
	config, err := schema.Encode(cm)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = r.Apply(ctx, core.ConfigMap, "default", "m", registry.Application{Config: config, Force: true}, registry.WriteOptions{FieldManager: "a"})
	if !errors.Is(err, registry.TooLarge) {
		t.Errorf("apply: %v, want an error of its size", err)
	}
}

// TestApplyConflictStands: a conflict of managers that is decided on a cache is decided again on the store, and is one of apimachinery.
func TestApplyConflictStands(t *testing.T) {
	r, _ := registrytest.New(t)
	applied(t, r, core.ConfigMap, "m", appliedMap, "a")
	other := registry.Application{Config: []byte(strings.Replace(appliedMap, `"1"`, `"2"`, 1))}
	_, _, err := r.Apply(context.Background(), core.ConfigMap, "default", "m", other, registry.WriteOptions{FieldManager: "b"})
	if !apierrors.IsConflict(err) || !apierrors.HasStatusCause(err, metav1.CauseTypeFieldManagerConflict) {
		t.Errorf("error %v, want a conflict of managers", err)
	}
}
