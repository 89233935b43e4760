package apitest_test

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/registry/store/storetest"
	"gantry/schema"
	"gantry/schema/core"
)

func TestCreateSetsWhatTheServerSets(t *testing.T) {
	r, etcd := registrytest.New(t)
	ctx := registrytest.Context(t)
	in := registrytest.ConfigMap("a", "k", "v")
	in.UID, in.SelfLink = "mine", "/x"
	now := metav1.NewTime(time.Unix(1, 0))
	in.DeletionTimestamp, in.CreationTimestamp = &now, now
	in.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "m", Operation: metav1.ManagedFieldsOperationUpdate}}
	it := registrytest.Must(t)(r.Create(ctx, core.ConfigMap, in, registry.WriteOptions{}))
	got := it.Object().(*corev1.ConfigMap)
	switch {
	case got.UID == "" || got.UID == "mine":
		t.Errorf("uid %q", got.UID)
	case time.Since(got.CreationTimestamp.Time) > time.Minute:
		t.Errorf("creationTimestamp %v", got.CreationTimestamp)
	case got.DeletionTimestamp != nil || got.SelfLink != "" || got.ManagedFields != nil:
		t.Errorf("metadata %+v", got.ObjectMeta)
	case got.ResourceVersion != registrytest.ResourceVersion(t, it) || it.Revision == 0:
		t.Errorf("resourceVersion %q, item's %d", got.ResourceVersion, it.Revision)
	}
	if in.UID != "mine" {
		t.Error("the object handed in was changed")
	}
	value, rev := storetest.Value(t, etcd, "/registry/configmaps/default/a")
	if strings.Contains(value, "resourceVersion") || rev != it.Revision {
		t.Errorf("stored at %d: %s", rev, value)
	}
	if got := registrytest.Must(t)(r.Get(ctx, core.ConfigMap, "default", "a", "")); string(got.JSON) != string(it.JSON) {
		t.Errorf("read   %s\ncreate %s", got.JSON, it.JSON)
	}
}

func TestGeneratedNames(t *testing.T) {
	r, etcd := registrytest.New(t)
	ctx := registrytest.Context(t)
	in := registrytest.ConfigMap("")
	in.GenerateName = "web-"
	it := registrytest.Must(t)(r.Create(ctx, core.ConfigMap, in, registry.WriteOptions{}))
	if !regexp.MustCompile(`^web-[bcdfghjklmnpqrstvwxz2456789]{5}$`).MatchString(it.Name) {
		t.Errorf("name %q", it.Name)
	}
	in.GenerateName = strings.Repeat("x", 70)
	if it := registrytest.Must(t)(r.Create(ctx, core.ConfigMap, in, registry.WriteOptions{})); len(it.Name) != 63 {
		t.Errorf("name %q of %d bytes", it.Name, len(it.Name))
	}

	unnamed := &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Namespace: "default"}}
	if it := registrytest.Must(t)(r.Create(ctx, core.LimitRange, unnamed, registry.WriteOptions{})); !schema.IsUUID(it.Name) || unnamed.Name != "" {
		t.Errorf("name %q of a limit range, %q of what was given", it.Name, unnamed.Name)
	}

	tries := 0
	clash := registrytest.On(t, &interceptedStore{Store: etcd, commit: func(ctx context.Context, s store.Store, txn store.Txn) (store.TxnResult, error) {
		tries++
		if tries < 8 {
			taken := &store.KV{Key: txn.Compares[0].Key, ModRevision: 1, Value: []byte("{}")}
			return store.TxnResult{Current: map[string]*store.KV{taken.Key: taken}}, nil
		}
		return s.Commit(ctx, txn)
	}})
	in.GenerateName = "clash-"
	registrytest.Must(t)(clash.Create(ctx, core.ConfigMap, in, registry.WriteOptions{}))
	if tries != 8 {
		t.Errorf("%d tries", tries)
	}
	tries = -8
	_, err := clash.Create(ctx, core.ConfigMap, in, registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Exists, "the server was not able to generate a unique name for the object")
}

func TestDryRunStoresNothing(t *testing.T) {
	r, etcd := registrytest.New(t)
	ctx := registrytest.Context(t)
	registrytest.Must(t)(r.Create(ctx, core.ConfigMap, registrytest.ConfigMap("a", "n", "1"), registry.WriteOptions{}))
	registrytest.Must(t)(r.Create(ctx, core.Pod, registrytest.Pod("p"), registry.WriteOptions{}))
	before, err := etcd.Revision(ctx)
	if err != nil {
		t.Fatal(err)
	}
	dry := registry.WriteOptions{DryRun: true}
	if it := registrytest.Must(t)(r.Create(ctx, core.ConfigMap, registrytest.ConfigMap("b"), dry)); registrytest.ResourceVersion(t, it) != "" || it.Object().GetUID() == "" {
		t.Errorf("dry create: %s", it.JSON)
	}
	_, err = r.Create(ctx, core.ConfigMap, registrytest.ConfigMap("a"), dry)
	registrytest.WantError(t, err, registry.Exists, "")
	if it := registrytest.Must(t)(r.Update(ctx, core.ConfigMap, registrytest.ConfigMap("a", "n", "2"), dry)); it.Object().(*corev1.ConfigMap).Data["n"] != "2" {
		t.Errorf("dry update: %s", it.JSON)
	}
	registrytest.Must(t)(registrytest.Bind(ctx, r, "p", "n1", dry))
	registrytest.Must(t)(r.Create(ctx, core.Service, registrytest.Service("s"), dry))
	if _, gone, err := r.Delete(ctx, core.ConfigMap, "default", "a", registry.DeleteOptions{DryRun: true}); err != nil || !gone {
		t.Errorf("dry delete: gone %v, %v", gone, err)
	}
	after, err := etcd.Revision(ctx)
	if err != nil || after != before {
		t.Errorf("revision went from %d to %d, %v", before, after, err)
	}
}

func TestUnknownOutcomeOfACreate(t *testing.T) {
	_, etcd := registrytest.New(t)
	ctx := registrytest.Context(t)
	for _, c := range []struct {
		name   string
		lands  bool
		wantOK bool
	}{
		{"the write landed", true, true},
		{"the write was lost", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &interceptedStore{Store: etcd}
			r := registrytest.On(t, f)
			f.commit = func(ctx context.Context, s store.Store, txn store.Txn) (store.TxnResult, error) {
				if c.lands {
					if _, err := s.Commit(ctx, txn); err != nil {
						return store.TxnResult{}, err
					}
				}
				return store.TxnResult{}, errLost
			}
			name := strings.ReplaceAll(c.name, " ", "-")
			it, err := r.Create(ctx, core.ConfigMap, registrytest.ConfigMap(name), registry.WriteOptions{})
			if (err == nil) != c.wantOK {
				t.Fatalf("item %v, error %v", it, err)
			}
			var e *registry.Error
			if err != nil && (!errors.As(err, &e) || !e.UnknownOutcome || e.Kind != registry.Timeout) {
				t.Errorf("error %v", err)
			}
			if _, rev := storetest.Value(t, etcd, "/registry/configmaps/default/"+name); err == nil && rev != it.Revision {
				t.Errorf("revision %d, stored at %d", it.Revision, rev)
			}
		})
	}
}

// A write whose answer was lost is a success where the store has this very write, and unknown otherwise: another's may look
// the same, one of two increments, say.
func TestUnknownOutcomeOfAnUpdate(t *testing.T) {
	lands := func(ctx context.Context, s store.Store, txn store.Txn) error {
		_, err := s.Commit(ctx, txn)
		return err
	}
	nothing := func(context.Context, store.Store, store.Txn) error { return nil }
	others := func(ctx context.Context, s store.Store, txn store.Txn) error {
		r := registrytest.On(t, s)
		if len(txn.Deletes) > 0 {
			_, _, err := r.Delete(ctx, core.ConfigMap, "default", "a", registry.DeleteOptions{})
			return err
		}
		_, err := r.Update(ctx, core.ConfigMap, registrytest.ConfigMap("a", "n", "2"), registry.WriteOptions{})
		return err
	}
	for _, c := range []struct {
		name   string
		what   func(context.Context, store.Store, store.Txn) error
		wantOK bool
	}{
		{"it landed", lands, true},
		{"it was lost", nothing, false},
		{"another's landed", others, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &interceptedStore{Store: store.NewFake()}
			r := registrytest.On(t, f)
			registrytest.Namespace(t, r, "default")
			ctx := registrytest.Context(t)
			registrytest.Must(t)(r.Create(ctx, core.ConfigMap, registrytest.ConfigMap("a", "n", "1"), registry.WriteOptions{}))
			f.commit = func(ctx context.Context, s store.Store, txn store.Txn) (store.TxnResult, error) {
				if err := c.what(ctx, s, txn); err != nil {
					return store.TxnResult{}, err
				}
				return store.TxnResult{}, errLost
			}
			_, err := r.Update(ctx, core.ConfigMap, registrytest.ConfigMap("a", "n", "2"), registry.WriteOptions{})
			if (err == nil) != c.wantOK {
				t.Errorf("update: %v", err)
			}
			_, _, derr := r.Delete(ctx, core.ConfigMap, "default", "a", registry.DeleteOptions{})
			if (derr == nil) != c.wantOK {
				t.Errorf("delete: %v", derr)
			}
			if !c.wantOK {
				registrytest.WantError(t, err, registry.Timeout, "the answer was lost")
				registrytest.WantError(t, derr, registry.Timeout, "the answer was lost")
			}
		})
	}
}
