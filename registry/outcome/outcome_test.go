package outcome_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/registry/embedded"
	"gantry/registry/embedded/embeddedtest"
	"gantry/registry/etcdlog"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/core"
)

// relay stands before an etcd and can keep its answers back: to clients it is a member that takes requests and stands still.
type relay struct {
	net.Listener
	mu sync.Mutex // held while answers are kept back
}

func startRelay(t *testing.T, to int) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{Listener: l}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", to))
			if err != nil {
				client.Close()
				continue
			}
			context.AfterFunc(ctx, func() { client.Close(); server.Close() })
			wg.Go(func() { defer server.Close(); _, _ = io.Copy(server, client) }) // ends with either
			wg.Go(func() { defer client.Close(); r.answer(client, server) })
		}
	})
	return r
}

func (r *relay) answer(client io.Writer, server io.Reader) {
	buf := make([]byte, 32<<10)
	for {
		n, err := server.Read(buf)
		if err != nil {
			return
		}
		r.mu.Lock()
		_, err = client.Write(buf[:n])
		r.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// TestStalledMember checks that every write and every consistent read succeeds in time while one of two members takes requests and does not
// answer, and that no write is made twice.
func TestStalledMember(t *testing.T) {
	cert, key, config := embeddedtest.Certs(t)
	cfg := embedded.Config{Dir: t.TempDir(), Port: embeddedtest.FreePort(t), CertFile: cert, KeyFile: key, CAFile: cert, NoSync: true, Log: slog.New(slog.DiscardHandler)}
	e, err := embedded.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	still := startRelay(t, cfg.Port)
	dial := func(endpoints ...string) *clientv3.Client {
		client, err := clientv3.New(clientv3.Config{Endpoints: endpoints, TLS: config, Logger: etcdlog.Client(slog.New(slog.DiscardHandler))})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		return client
	}
	there, other := fmt.Sprintf("https://127.0.0.1:%d", cfg.Port), "https://"+still.Addr().String()
	// Watches are on the member that will stall, until they get the other one's endpoint.
	client, watches := dial(there, other), dial(other)
	r := registrytest.Run(t, registry.Config{Store: store.NewEtcd(client, watches), Kinds: schema.NewKinds(schema.NewSet(core.Namespace, core.ConfigMap)), Agent: "test", Log: slog.New(slog.DiscardHandler)})
	ctx := registrytest.Context(t)
	if _, err := r.Create(ctx, core.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "n"}}, registry.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	object := func(name string, n int) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name}, Data: map[string]string{"n": fmt.Sprint(n)}}
	}
	if _, err := r.Create(ctx, core.ConfigMap, object("a", 0), registry.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.List(ctx, core.ConfigMap, "n", registry.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := watches.Get(ctx, "/"); err != nil { // so that the client has begun to connect, which it does not guard against the next
		t.Fatal(err)
	}
	watches.SetEndpoints(other, there)
	still.mu.Lock()
	t.Cleanup(still.mu.Unlock)

	before, err := e.Client().Get(ctx, "/")
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 3; n++ {
		if _, err := r.Update(ctx, core.ConfigMap, object("a", n), registry.WriteOptions{}); err != nil {
			t.Fatalf("update %d: %v", n, err)
		}
		it, err := r.Get(ctx, core.ConfigMap, "n", "a", "")
		if err != nil || it.Object().(*corev1.ConfigMap).Data["n"] != fmt.Sprint(n) {
			t.Fatalf("a read after update %d: %v, %v", n, it, err)
		}
	}
	for _, name := range []string{"b", "c"} {
		if _, err := r.Create(ctx, core.ConfigMap, object(name, 0), registry.WriteOptions{}); err != nil {
			t.Fatalf("creating %s: %v", name, err)
		}
		if _, gone, err := r.Delete(ctx, core.ConfigMap, "n", name, registry.DeleteOptions{}); err != nil || !gone {
			t.Fatalf("deleting %s: %v, %v", name, gone, err)
		}
	}
	after, err := e.Client().Get(ctx, "/")
	if err != nil {
		t.Fatal(err)
	}
	if made := after.Header.Revision - before.Header.Revision; made != 7 {
		t.Errorf("%d revisions for 7 writes", made)
	}
}
