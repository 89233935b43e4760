package embedded_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/registry/embedded"
	"gantry/registry/embedded/embeddedtest"
	"gantry/registry/history"
	"gantry/registry/store"
	"gantry/schema/core"
	"gantry/schema/kinds"
)

// TestBackupAndRestore checks that a restore brings back what was deleted since the backup and removes what was made since, and that a
// watch from an old revision is Expired, also from one that the restored etcd has not reached.
func TestBackupAndRestore(t *testing.T) {
	ctx := testContext(t)
	home := t.TempDir()
	cfg := embedded.Config{Dir: filepath.Join(home, "etcd"), NoSync: true, Log: slog.New(slog.DiscardHandler)}
	file := filepath.Join(home, "backup.db")
	open := func() (*embedded.Etcd, *store.Etcd) {
		t.Helper()
		e, err := embedded.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return e, store.NewEtcd(e.Client(), e.Client())
	}
	registryOn := func(s store.Store) *registry.Registry {
		return registry.New(registry.Config{Store: s, Kinds: kinds.New(), Agent: "test", Log: cfg.Log, ServiceCIDRs: []netip.Prefix{netip.MustParsePrefix("10.96.0.0/16")}})
	}
	e, s := open()
	r := registryOn(s)
	for _, name := range []string{"n", "after"} {
		if name == "after" {
			if info, err := embedded.Backup(ctx, e.Client(), file); err != nil || info.Revision == 0 || info.Keys == 0 {
				t.Fatalf("Backup: %+v, %v", info, err)
			}
		}
		if _, err := r.Create(ctx, core.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, registry.WriteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	made, err := r.Create(ctx, core.ConfigMap, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "kept"}}, registry.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	info, err := embedded.Backup(ctx, e.Client(), file)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 || st.Size() != info.Bytes {
		t.Errorf("the file: %v, %v, want mode 0600 and %d bytes", st.Mode(), err, info.Bytes)
	}
	if _, err := embedded.Backup(ctx, e.Client(), file); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("a backup over another: %v", err)
	}
	if _, _, err := r.Delete(ctx, core.ConfigMap, "n", "kept", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	late, err := r.Create(ctx, core.ConfigMap, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "late"}}, registry.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := embedded.Restore(file, cfg.Dir); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("restoring under a running etcd: %v", err)
	}
	e.Close()

	for name, spoil := range map[string]func([]byte) []byte{
		"one bit":  func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"cut":      func(b []byte) []byte { return b[:len(b)-512] },
		"no end":   func(b []byte) []byte { return b[:len(b)-32] },
		"nonsense": func([]byte) []byte { return []byte("hello") },
	} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		bad := filepath.Join(home, "bad.db")
		if err := os.WriteFile(bad, spoil(data), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := embedded.Restore(bad, cfg.Dir); err == nil {
			t.Errorf("a damaged backup was restored: %s", name)
		}
	}
	done, err := embedded.Restore(file, cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(done.Aside, "member", "snap", "db")); err != nil || filepath.Dir(done.Aside) != home {
		t.Errorf("the old data, in %q: %v", done.Aside, err)
	}

	e, s = open()
	t.Cleanup(e.Close)
	r = registryOn(s)
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- r.Run(running) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	it, err := r.Get(ctx, core.ConfigMap, "n", "kept", "")
	if err != nil || it.UID() != made.UID() || it.Revision != made.Revision {
		t.Errorf("what was deleted since the backup: %v, %v", it, err)
	}
	if _, err := r.Get(ctx, core.ConfigMap, "n", "late", ""); !errors.Is(err, registry.NotFound) {
		t.Errorf("what was made since the backup: %v", err)
	}
	if rev, err := s.Revision(ctx); err != nil || rev < done.Next || done.Next <= late.Revision {
		t.Errorf("revision %d, %v, want at least %d", rev, err, done.Next)
	}
	for _, from := range []int64{made.Revision, late.Revision, late.Revision + 1000} {
		for b := range s.Watch(ctx, "/registry/configmaps/", "/registry/configmaps0", from, false) {
			if !errors.Is(b.Err, registry.Expired) {
				t.Errorf("watch of etcd from %d: %+v, want Expired", from, b)
			}
			break
		}
		w, err := r.Watch(ctx, core.ConfigMap, "n", registry.WatchOptions{ResourceVersion: strconv.FormatInt(from, 10)})
		if err == nil {
			_, err = w.Next(ctx, nil)
		}
		if !errors.Is(err, registry.Expired) {
			t.Errorf("watch from %d: %v, want Expired", from, err)
		}
	}
	if _, err := r.Create(ctx, core.ConfigMap, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "next"}}, registry.WriteOptions{}); err != nil {
		t.Errorf("writing after: %v", err)
	}
	if oldest, err := history.Oldest(ctx, s); err != nil || oldest != done.Next {
		t.Errorf("the oldest revision is %d, %v, want %d", oldest, err, done.Next)
	}
}

// TestRestoreIntoNothing restores a backup where no etcd was before.
func TestRestoreIntoNothing(t *testing.T) {
	ctx := testContext(t)
	e := embeddedtest.Open(t)
	put(t, store.NewEtcd(e.Client(), e.Client()), "/registry/configmaps/n/a", `{"a":1}`)
	file := filepath.Join(t.TempDir(), "b")
	if _, err := embedded.Backup(ctx, e.Client(), file); err != nil {
		t.Fatal(err)
	}
	cfg := embedded.Config{Dir: filepath.Join(t.TempDir(), "data", "etcd"), NoSync: true, Log: slog.New(slog.DiscardHandler)}
	done, err := embedded.Restore(file, cfg.Dir)
	if err != nil || done.Aside != "" {
		t.Fatalf("Restore: %+v, %v", done, err)
	}
	again, err := embedded.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(again.Close)
	kv, _, err := store.NewEtcd(again.Client(), again.Client()).Get(ctx, "/registry/configmaps/n/a", 0)
	if err != nil || kv == nil || string(kv.Value) != `{"a":1}` {
		t.Errorf("got %v, %v", kv, err)
	}
}
