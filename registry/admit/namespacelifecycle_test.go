package admit_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/registry/store/storetest"
	"gantry/schema"
	"gantry/schema/core"
)

// stillWatches is a store whose watches of a prefix send nothing; it counts transactions.
type stillWatches struct {
	store.Store
	prefix  string
	commits atomic.Int64
}

func (s *stillWatches) Watch(ctx context.Context, start, end string, from int64, prev bool) <-chan store.WatchBatch {
	if start != s.prefix {
		return s.Store.Watch(ctx, start, end, from, prev)
	}
	out := make(chan store.WatchBatch)
	go func() {
		<-ctx.Done()
		close(out)
	}()
	return out
}

func (s *stillWatches) Commit(ctx context.Context, t store.Txn) (store.TxnResult, error) {
	s.commits.Add(1)
	return s.Store.Commit(ctx, t)
}

// TestCreateWithAnOldCache checks that a process whose cache of namespaces is behind creates and refuses the same objects as any other.
func TestCreateWithAnOldCache(t *testing.T) {
	label := func(t *testing.T, r *registry.Registry) {
		registrytest.Must(t)(r.Modify(registrytest.Context(t), core.Namespace, "", "shop", func(o schema.Object) (schema.Object, error) {
			o.SetLabels(map[string]string{"changed": o.GetResourceVersion()})
			return o, nil
		}, registry.WriteOptions{}))
	}
	end := func(t *testing.T, r *registry.Registry) {
		if _, _, err := r.Delete(registrytest.Context(t), core.Namespace, "", "shop", registry.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	finish := func(t *testing.T, r *registry.Registry) {
		registrytest.Must(t)(r.Modify(registrytest.Context(t), core.Namespace, "", "shop", func(o schema.Object) (schema.Object, error) {
			o.(*corev1.Namespace).Spec.Finalizers = nil
			return o, nil
		}, registry.WriteOptions{Subresource: "finalize"}))
	}
	remake := func(t *testing.T, r *registry.Registry) {
		registrytest.Must(t)(r.Create(registrytest.Context(t), core.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}, registry.WriteOptions{}))
	}
	type step = func(t *testing.T, r *registry.Registry)
	for _, c := range []struct {
		name    string
		before  []step // the one that is behind sees these
		after   []step
		want    registry.ErrorKind // "": created
		text    string
		commits int64
	}{
		{name: "nothing changed", commits: 1},
		{name: "it was changed", after: []step{label, label}, commits: 2},
		{name: "it is going", after: []step{end}, want: registry.Forbidden, text: "because it is being terminated", commits: 1},
		{name: "it is gone", after: []step{end, finish}, want: registry.NotFound, text: `namespaces "shop" not found`, commits: 1},
		{name: "it is gone and there again", after: []step{end, finish, remake}, commits: 2},
		{name: "it was going and is there again", before: []step{end}, after: []step{finish, remake}, commits: 1},
		{name: "it was going and is gone", before: []step{end}, after: []step{finish}, want: registry.NotFound, text: `namespaces "shop" not found`},
		{name: "it is going still", before: []step{end}, after: []step{label}, want: registry.Forbidden, text: "because it is being terminated"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, etcd := registrytest.New(t)
			registrytest.Namespace(t, r, "shop")
			for _, do := range c.before {
				do(t, r)
			}
			still := &stillWatches{Store: etcd, prefix: "/registry/namespaces/"}
			behind := registrytest.On(t, still)
			registrytest.Must(t)(behind.Get(registrytest.Context(t), core.Namespace, "", "shop", "0"))
			for _, do := range c.after {
				do(t, r)
			}
			cm := registrytest.ConfigMap("a")
			cm.Namespace = "shop"
			_, err := behind.Create(registrytest.Context(t), core.ConfigMap, cm, registry.WriteOptions{})
			switch {
			case c.want == "" && err != nil, c.want != "" && !errors.Is(err, c.want):
				t.Errorf("Create: %v, want %s", err, c.want)
			case c.want != "" && !strings.Contains(err.Error(), c.text):
				t.Errorf("Create: %v, want %s", err, c.text)
			}
			if n := still.commits.Load(); n != c.commits {
				t.Errorf("%d transactions, want %d", n, c.commits)
			}
			if found := storetest.Keys(t, etcd, "/registry/configmaps/shop/"); (len(found) > 0) != (c.want == "") {
				t.Errorf("in the namespace are %v", found)
			}
			if c.want != "" {
				return
			}
			cm.Name = "b"
			still.commits.Store(0)
			registrytest.Must(t)(behind.Create(registrytest.Context(t), core.ConfigMap, cm, registry.WriteOptions{}))
			if n := still.commits.Load(); n != 1 && len(c.before) == 0 {
				t.Errorf("%d transactions for the next one", n)
			}
		})
	}
}

// TestCreateWhileTheNamespaceChanges checks that a Service is created with its claims although its namespace is newer than the process
// knows.
func TestCreateWhileTheNamespaceChanges(t *testing.T) {
	r, etcd := registrytest.New(t)
	ctx := registrytest.Context(t)
	still := &stillWatches{Store: etcd, prefix: "/registry/namespaces/"}
	behind := registrytest.On(t, still)
	for i, name := range []string{"s0", "s1", "s2"} {
		registrytest.Must(t)(r.Modify(ctx, core.Namespace, "", "default", func(o schema.Object) (schema.Object, error) {
			o.SetLabels(map[string]string{"step": name})
			return o, nil
		}, registry.WriteOptions{}))
		registrytest.Must(t)(behind.Create(ctx, core.Service, registrytest.Service(name), registry.WriteOptions{}))
		if got := storetest.Keys(t, etcd, "/registry/ipaddresses/"); len(got) != i+1 {
			t.Errorf("addresses %v", got)
		}
	}
}
