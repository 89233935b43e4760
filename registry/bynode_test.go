package registry_test

import (
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/schema/core"
)

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

const podKey = "/registry/pods/default/p"

func TestCopyStaysInStep(t *testing.T) {
	r, store := registrytest.New(t)
	ctx := testContext(t)
	same := func(when, node string) {
		t.Helper()
		want, rev := stored(t, store, podKey)
		got, copied := stored(t, store, "/gantry/bynode/"+node+"/pods/default/p")
		if got != want || copied != rev || rev == 0 {
			t.Errorf("%s: the pod at %d, its copy at %d\n%s\n%s", when, rev, copied, want, got)
		}
	}
	must(t)(r.Create(ctx, core.Pod, pod("p"), registry.WriteOptions{}))
	if copies := keys(t, store, "/gantry/bynode/"); len(copies) != 0 {
		t.Errorf("an unbound pod has copies: %v", copies)
	}
	it := must(t)(bindTo(ctx, r, "p", "n1", registry.WriteOptions{}))
	same("bound", "n1")
	p := it.Object().(*corev1.Pod)
	if len(p.Status.Conditions) != 1 || p.Status.Conditions[0].Type != corev1.PodScheduled || p.Status.Conditions[0].Status != corev1.ConditionTrue {
		t.Errorf("conditions %v", p.Status.Conditions)
	}
	modify(t, r, "default", "p", "status", func(p *corev1.Pod) { p.Status.Phase = corev1.PodRunning })
	same("status", "n1")
	if _, gone, err := r.Delete(ctx, core.Pod, "default", "p", registry.DeleteOptions{}); err != nil || gone {
		t.Fatalf("gone %v, %v", gone, err)
	}
	same("marked", "n1")
	// The pod is moved by hand; the next write moves the copy.
	value, _ := stored(t, store, podKey)
	raw(t, store, podKey, strings.ReplaceAll(value, `"nodeName":"n1"`, `"nodeName":"n2"`))
	fresh := registry.New(registry.Config{Store: store, Kinds: r.Kinds()})
	modify(t, fresh, "default", "p", "status", func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed })
	same("moved", "n2")
	if _, gone, err := fresh.Delete(ctx, core.Pod, "default", "p", registry.DeleteOptions{GracePeriodSeconds: seconds(0)}); err != nil || !gone {
		t.Fatalf("gone %v, %v", gone, err)
	}
	if copies := keys(t, store, "/gantry/bynode/n2/"); len(copies) != 0 {
		t.Errorf("copies left: %v", copies)
	}
}

func TestBindRefuses(t *testing.T) {
	r, _ := registrytest.New(t)
	ctx := testContext(t)
	first := must(t)(r.Create(ctx, core.Pod, pod("p"), registry.WriteOptions{}))
	_, err := bindTo(ctx, r, "p", "", registry.WriteOptions{})
	wantError(t, err, registry.Invalid, "target.name: Required value")
	_, err = bindTo(ctx, r, "p", "../n1", registry.WriteOptions{})
	wantError(t, err, registry.Invalid, "target.name")
	_, err = r.Bind(ctx, "default", "p", &corev1.Binding{Target: corev1.ObjectReference{Kind: "Pod", Name: "n1"}}, registry.WriteOptions{})
	wantError(t, err, registry.Invalid, "target.kind: Unsupported value")
	_, err = bindTo(ctx, r, "zzz", "n1", registry.WriteOptions{})
	wantError(t, err, registry.NotFound, `"zzz" not found`)
	must(t)(bindTo(ctx, r, "p", "n1", registry.WriteOptions{ResourceVersion: revisionOf(t, first), UID: first.UID()}))
	_, err = bindTo(ctx, r, "p", "n2", registry.WriteOptions{})
	wantError(t, err, registry.Conflict, `pods/binding "p" conflict: pod p is already assigned to node "n1"`)
	_, err = bindTo(ctx, r, "p", "n2", registry.WriteOptions{ResourceVersion: revisionOf(t, first)})
	wantError(t, err, registry.Conflict, stale)
	if _, _, err := r.Delete(ctx, core.Pod, "default", "p", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err = bindTo(ctx, r, "p", "n2", registry.WriteOptions{})
	wantError(t, err, registry.Conflict, "pod p is being deleted, cannot be assigned to a host")
}
