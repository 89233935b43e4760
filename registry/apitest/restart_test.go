package apitest_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"gantry/registry"
	"gantry/registry/embedded"
	"gantry/registry/embedded/embeddedtest"
	"gantry/registry/etcdlog"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/registry/store/storetest"
	"gantry/schema/core"
)

// TestEtcdRestarts checks that after a restart of etcd a watcher and a follower see what changed meanwhile, once.
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
	storetest.Put(t, s, "/registry/pods/n/a", storetest.Pod("n", "a", ""))
	r := registrytest.On(t, s)
	changes := make(chan string, 100)
	ctx, cancel := context.WithCancel(registrytest.Context(t))
	followed := make(chan error, 1)
	go func() {
		followed <- r.Follow(ctx, core.Pod, func(c registry.Change) {
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
	w, err := r.Watch(ctx, core.Pod, "", registry.WatchOptions{ResourceVersion: "0"})
	if err != nil {
		t.Fatal(err)
	}
	registrytest.Next(t, w, 1)
	e.Close()
	if e, err = embedded.Open(cfg); err != nil {
		t.Fatal(err)
	}
	inside := store.NewEtcd(e.Client(), e.Client())
	d := storetest.Delete(t, inside, "/registry/pods/n/a")
	b := storetest.Put(t, inside, "/registry/pods/n/b", storetest.Pod("n", "b", ""))
	if got, want := fmt.Sprint(registrytest.Show(registrytest.Next(t, w, 2))), fmt.Sprintf("[DELETED a %d ADDED b %d]", d, b); got != want {
		t.Errorf("a watcher saw %s, want %s", got, want)
	}
	if got := <-changes + " " + <-changes; got != "- a + b" {
		t.Errorf("Follow reported %s", got)
	}
	if l, err := r.List(ctx, core.Pod, "", registry.ListOptions{}); err != nil || registrytest.Names(l) != "b" {
		t.Errorf("List = %s, %v", registrytest.Names(l), err)
	}
	cancel()
	<-followed
}
