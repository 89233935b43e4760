package registry

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"gantry/registry/embedded"
	"gantry/registry/embedded/embeddedtest"
	"gantry/registry/etcdlog"
	"gantry/registry/store"
)

// TestEtcdRestarts: etcd is gone and back; what was deleted meanwhile is heard of, and nothing twice.
func TestEtcdRestarts(t *testing.T) {
	cert, key, config := embeddedtest.Certs(t)
	cfg := embedded.Config{Dir: t.TempDir(), Port: embeddedtest.FreePort(t), CertFile: cert, KeyFile: key, CAFile: cert, Log: slog.New(slog.DiscardHandler)}
	e, err := embedded.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	dial := func() *clientv3.Client {
		client, err := clientv3.New(clientv3.Config{Endpoints: []string{fmt.Sprintf("https://127.0.0.1:%d", cfg.Port)}, TLS: config, Logger: etcdlog.Client(slog.New(slog.DiscardHandler))})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		return client
	}
	s := store.NewEtcd(dial(), dial())
	put(t, s, "/registry/pods/n/a", podJSON("n", "a", ""))
	r := testRegistry(t, s)
	changes := make(chan string, 100)
	ctx, cancel := context.WithCancel(testContext(t))
	followed := make(chan error, 1)
	go func() {
		followed <- r.Follow(ctx, podKind, func(c Change) {
			switch {
			case c.New == nil:
				changes <- "- " + c.Old.Name
			default:
				changes <- "+ " + c.New.Name
			}
		})
	}()
	if got := <-changes; got != "+ a" {
		t.Errorf("first %s", got)
	}
	w, err := r.Watch(ctx, podKind, "", WatchOptions{ResourceVersion: "0"})
	if err != nil {
		t.Fatal(err)
	}
	next(t, w, 1)
	e.Close()
	if e, err = embedded.Open(cfg); err != nil {
		t.Fatal(err)
	}
	inside := store.NewEtcd(e.Client(), e.Client())
	d := del(t, inside, "/registry/pods/n/a")
	b := put(t, inside, "/registry/pods/n/b", podJSON("n", "b", ""))
	if got, want := fmt.Sprint(show(next(t, w, 2))), fmt.Sprintf("[DELETED a %d ADDED b %d]", d, b); got != want {
		t.Errorf("a watcher saw %s, want %s", got, want)
	}
	if got := <-changes + " " + <-changes; got != "- a + b" {
		t.Errorf("Follow reported %s", got)
	}
	if l, err := r.List(ctx, podKind, "", ListOptions{}); err != nil || names(l) != "b" {
		t.Errorf("List = %s, %v", names(l), err)
	}
	cancel()
	<-followed
}
