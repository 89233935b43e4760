package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/registry/history"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/core"
)

func TestUpkeepDecides(t *testing.T) {
	const mb = 1 << 20
	long := time.Hour
	for _, c := range []struct {
		name string
		in   dbState
		want step
	}{
		{"small", dbState{size: 90 * mb, inUse: 1 * mb, quota: 2048 * mb, sinceDefrag: long}, nothing},
		{"mostly free", dbState{size: 400 * mb, inUse: 150 * mb, quota: 2048 * mb, sinceDefrag: long}, defragment},
		{"mostly free, just done", dbState{size: 400 * mb, inUse: 150 * mb, quota: 2048 * mb, sinceDefrag: time.Minute}, nothing},
		{"mostly free, busy", dbState{size: 400 * mb, inUse: 150 * mb, quota: 2048 * mb, sinceDefrag: long, writes: 5000}, nothing},
		{"mostly in use", dbState{size: 400 * mb, inUse: 250 * mb, quota: 2048 * mb, sinceDefrag: long}, nothing},
		{"near the quota, busy", dbState{size: 1700 * mb, inUse: 1200 * mb, quota: 2048 * mb, sinceDefrag: long, writes: 5000}, defragment},
		{"near the quota, in use", dbState{size: 1700 * mb, inUse: 1600 * mb, quota: 2048 * mb, sinceDefrag: long}, nothing},
		{"at the brim", dbState{size: 1900 * mb, inUse: 1850 * mb, quota: 2048 * mb, sinceDefrag: long, sinceShorten: long}, shorten},
		{"at the brim, just done", dbState{size: 1900 * mb, inUse: 1850 * mb, quota: 2048 * mb, sinceDefrag: long, sinceShorten: time.Minute}, nothing},
		{"full", dbState{size: 2048 * mb, inUse: 1000 * mb, quota: 2048 * mb, noSpace: true}, reclaim},
		{"alarm with room", dbState{size: 500 * mb, inUse: 400 * mb, quota: 2048 * mb, noSpace: true}, disarm},
	} {
		if got := c.in.next(); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// TestFullEtcdRecovers checks that at NOSPACE writes and readiness name the cause and deletions succeed, and that upkeep makes room: from
// history first, and where objects fill etcd, as soon as enough of them are deleted. FAULTS case 9.
func TestFullEtcdRecovers(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	notices := make(chan Notice, 10)
	e, err := Open(Config{
		Dir: t.TempDir(), NoSync: true, Quota: 8 << 20, Log: slog.New(slog.DiscardHandler), Notice: func(n Notice) { notices <- n },
	})
	if err != nil {
		t.Fatal(err)
	}
	e.upkeep.every = 10 * time.Millisecond
	s := store.NewEtcd(e.Client(), e.Client())
	r := registry.New(registry.Config{Store: s, Kinds: schema.NewKinds(schema.NewSet(core.Namespace, core.ConfigMap)), Agent: "test", Log: slog.New(slog.DiscardHandler)})
	if _, err := r.Create(ctx, core.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "n"}}, registry.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	configMap := func(name string) error {
		_, err := r.Create(ctx, core.ConfigMap, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name}, Data: map[string]string{"a": strings.Repeat("x", 256<<10)},
		}, registry.WriteOptions{})
		return err
	}
	fillWith := func(write func(i int) error) {
		t.Helper()
		for i := 0; ; i++ {
			err := write(i)
			if err == nil {
				continue
			}
			var apiErr *registry.Error
			var raw *store.Error
			retryLater := errors.As(err, &apiErr) && apiErr.RetryAfter > 0 || errors.As(err, &raw) && raw.RetryAfter > 0
			if !errors.Is(err, registry.Unavailable) || !strings.Contains(err.Error(), "no space") || !retryLater {
				t.Fatalf("write %d to a full etcd: %v", i, err)
			}
			return
		}
	}
	// Filled by history.
	if err := configMap("keep"); err != nil {
		t.Fatal(err)
	}
	fillWith(func(int) error {
		_, err := s.Commit(ctx, store.Txn{Puts: []store.Put{{Key: "/x", Value: bytes.Repeat([]byte("x"), 256<<10)}}})
		return err
	})
	if err := r.Ready(ctx); err == nil || !strings.Contains(err.Error(), "no space left") || !strings.Contains(err.Error(), "8.0 MiB") {
		t.Errorf("Ready of a full etcd: %v", err)
	}
	if _, gone, err := r.Delete(ctx, core.ConfigMap, "n", "keep", registry.DeleteOptions{}); err != nil || !gone {
		t.Errorf("deleting while etcd is full: %v, %v", gone, err)
	}
	run, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- e.Run(run) }()
	awaitNotice(t, notices)
	if err := s.Full(ctx); err != nil {
		t.Errorf("full after the recovery: %v", err)
	}
	if err := configMap("again"); err != nil {
		t.Errorf("writing after the recovery: %v", err)
	}
	// Filled by objects: nothing helps but deleting some.
	n := 0
	fillWith(func(i int) error { n = i; return configMap(fmt.Sprintf("c%d", i)) })
	for i := range n {
		if _, _, err := r.Delete(ctx, core.ConfigMap, "n", fmt.Sprintf("c%d", i), registry.DeleteOptions{}); err != nil {
			t.Fatalf("deleting while etcd is full: %v", err)
		}
	}
	for awaitNotice(t, notices); configMap("last") != nil; { // the first may be of before the deletions
		awaitNotice(t, notices)
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// TestShorten checks that near the quota the older half of history is compacted before writes are refused, and the newer half is kept.
func TestShorten(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	e, err := Open(Config{Dir: t.TempDir(), NoSync: true, Quota: 16 << 20, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	s := store.NewEtcd(e.Client(), e.Client())
	var first, last int64
	for range 100 {
		res, err := s.Commit(ctx, store.Txn{Puts: []store.Put{{Key: "/x", Value: []byte("v")}}})
		if err != nil {
			t.Fatal(err)
		}
		last = res.Revision
		if first == 0 {
			first = last
		}
	}
	if err := e.upkeep.shorten(ctx, dbState{}); err != nil {
		t.Fatal(err)
	}
	oldest, err := history.Oldest(ctx, s)
	if err != nil || oldest <= first || oldest >= last {
		t.Errorf("the oldest revision is %d, %v, want one between %d and %d", oldest, err, first, last)
	}
	versions, err := history.Versions(ctx, s, "/x", 0)
	if err != nil || len(versions) != int(last-oldest)+1 || !versions[0].First {
		t.Errorf("%d versions, %v, want those from %d to %d", len(versions), err, oldest, last)
	}
}

func awaitNotice(t *testing.T, notices chan Notice) {
	t.Helper()
	select {
	case n := <-notices:
		if n.Reason != "EtcdSpaceRecovered" || !strings.Contains(n.Text, "8.0 MiB") {
			t.Errorf("notice %+v", n)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("etcd did not recover")
	}
}
