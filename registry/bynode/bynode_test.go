package bynode_test

import (
	"log/slog"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/registry/store/storetest"
	"gantry/schema/core"
	"gantry/schema/kinds"
)

const podKey = "/registry/pods/default/p"

func TestCopyStaysInStep(t *testing.T) {
	r, store := registrytest.New(t)
	ctx := registrytest.Context(t)
	same := func(when, node string) {
		t.Helper()
		want, rev := storetest.Value(t, store, podKey)
		got, copied := storetest.Value(t, store, "/gantry/bynode/"+node+"/pods/default/p")
		if got != want || copied != rev || rev == 0 {
			t.Errorf("%s: the pod at %d, its copy at %d\n%s\n%s", when, rev, copied, want, got)
		}
	}
	registrytest.Must(t)(r.Create(ctx, core.Pod, registrytest.Pod("p"), registry.WriteOptions{}))
	if copies := storetest.Keys(t, store, "/gantry/bynode/"); len(copies) != 0 {
		t.Errorf("an unbound pod has copies: %v", copies)
	}
	it := registrytest.Must(t)(registrytest.Bind(ctx, r, "p", "n1", registry.WriteOptions{}))
	same("bound", "n1")
	p := it.Object().(*corev1.Pod)
	if len(p.Status.Conditions) != 1 || p.Status.Conditions[0].Type != corev1.PodScheduled || p.Status.Conditions[0].Status != corev1.ConditionTrue {
		t.Errorf("conditions %v", p.Status.Conditions)
	}
	registrytest.Modify(t, r, "default", "p", "status", func(p *corev1.Pod) { p.Status.Phase = corev1.PodRunning })
	same("status", "n1")
	if _, gone, err := r.Delete(ctx, core.Pod, "default", "p", registry.DeleteOptions{}); err != nil || gone {
		t.Fatalf("gone %v, %v", gone, err)
	}
	same("marked", "n1")
	// The pod is moved by hand; the next write moves the copy.
	value, _ := storetest.Value(t, store, podKey)
	storetest.Put(t, store, podKey, strings.ReplaceAll(value, `"nodeName":"n1"`, `"nodeName":"n2"`))
	fresh := registry.New(registry.Config{Store: store, Kinds: r.Kinds()})
	registrytest.Modify(t, fresh, "default", "p", "status", func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed })
	same("moved", "n2")
	if _, gone, err := fresh.Delete(ctx, core.Pod, "default", "p", registry.DeleteOptions{GracePeriodSeconds: new(int64(0))}); err != nil || !gone {
		t.Fatalf("gone %v, %v", gone, err)
	}
	if copies := storetest.Keys(t, store, "/gantry/bynode/n2/"); len(copies) != 0 {
		t.Errorf("copies left: %v", copies)
	}
}

func TestBindRefuses(t *testing.T) {
	r, _ := registrytest.New(t)
	ctx := registrytest.Context(t)
	first := registrytest.Must(t)(r.Create(ctx, core.Pod, registrytest.Pod("p"), registry.WriteOptions{}))
	_, err := registrytest.Bind(ctx, r, "p", "", registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Invalid, "target.name: Required value")
	_, err = registrytest.Bind(ctx, r, "p", "../n1", registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Invalid, "target.name")
	_, err = r.Bind(ctx, "default", "p", &corev1.Binding{Target: corev1.ObjectReference{Kind: "Pod", Name: "n1"}}, registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Invalid, "target.kind: Unsupported value")
	_, err = registrytest.Bind(ctx, r, "zzz", "n1", registry.WriteOptions{})
	registrytest.WantError(t, err, registry.NotFound, `"zzz" not found`)
	registrytest.Must(t)(registrytest.Bind(ctx, r, "p", "n1", registry.WriteOptions{ResourceVersion: registrytest.ResourceVersion(t, first), UID: first.UID()}))
	_, err = registrytest.Bind(ctx, r, "p", "n2", registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Conflict, `pods/binding "p" conflict: pod p is already assigned to node "n1"`)
	_, err = registrytest.Bind(ctx, r, "p", "n2", registry.WriteOptions{ResourceVersion: registrytest.ResourceVersion(t, first)})
	registrytest.WantError(t, err, registry.Conflict, "the object has been modified; please apply your changes to the latest version and try again")
	if _, _, err := r.Delete(ctx, core.Pod, "default", "p", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err = registrytest.Bind(ctx, r, "p", "n2", registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Conflict, "pod p is being deleted, cannot be assigned to a host")
}

// TestNodeReadsItsOwnRange checks that a node's registry reads its pods from the node's own range.
func TestNodeReadsItsOwnRange(t *testing.T) {
	s := store.NewFake()
	storetest.Put(t, s, "/registry/pods/n/a", storetest.Pod("n", "a", ""))
	rev := storetest.Put(t, s, "/gantry/bynode/n1/pods/n/b", storetest.Pod("n", "b", ""))
	storetest.Put(t, s, "/gantry/bynode/n10/pods/n/c", storetest.Pod("n", "c", ""))
	r := registrytest.Run(t, registry.Config{Store: s, Kinds: kinds.New(), Node: "n1", Log: slog.New(slog.DiscardHandler)})
	l, err := r.List(registrytest.Context(t), core.Pod, "", registry.ListOptions{})
	if err != nil || registrytest.Names(l) != "b" || l.Items[0].Revision != rev {
		t.Errorf("%s, %v", registrytest.Names(l), err)
	}
}
