package embedded_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"gantry/registry/embedded"
	"gantry/registry/embedded/embeddedtest"
	"gantry/registry/etcdlog"
	"gantry/registry/store"
)

// TestEmbeddedForEtcdctl runs etcdctl with a certificate and without, and checks the errors of a start.
func TestEmbeddedForEtcdctl(t *testing.T) {
	cert, key, config := embeddedtest.Certs(t)
	cfg := embedded.Config{Dir: filepath.Join(t.TempDir(), "etcd"), Port: embeddedtest.FreePort(t), CertFile: cert, KeyFile: key, CAFile: cert, NoSync: true, Log: slog.New(slog.DiscardHandler)}
	e, err := embedded.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(testContext(t))
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	endpoint := fmt.Sprintf("https://127.0.0.1:%d", cfg.Port)
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, TLS: config, Logger: etcdlog.Client(slog.New(slog.DiscardHandler))})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	s := store.NewEtcd(client, client)
	if err := s.CheckVersion(ctx, true); err != nil {
		t.Errorf("check: %v", err)
	}
	rev := put(t, s, "/registry/pods/n/a", `{"kind":"Pod"}`)
	kv, _, err := store.NewEtcd(e.Client(), e.Client()).Get(ctx, "/registry/pods/n/a", 0)
	if err != nil || kv == nil || kv.ModRevision != rev {
		t.Errorf("in process: %v, %v", kv, err)
	}
	anonymous := config.Clone()
	anonymous.Certificates = nil
	if conn, err := tls.Dial("tcp", endpoint[len("https://"):], anonymous); err == nil {
		if _, err = conn.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("a client without a certificate: %v", err)
		}
		conn.Close()
	}
	if info, err := os.Stat(cfg.Dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the data directory: %v, %v", info.Mode(), err)
	}
	if _, err := embedded.Open(cfg); err == nil || !strings.Contains(err.Error(), "in use by another process") || !strings.Contains(err.Error(), "--data-dir") {
		t.Errorf("a second etcd on the same directory: %v", err)
	}
	other := cfg
	other.Dir = t.TempDir()
	if _, err := embedded.Open(other); err == nil || !strings.Contains(err.Error(), "--etcd-port") {
		t.Errorf("a second etcd on the same port: %v", err)
	}
	other.Port = embeddedtest.FreePort(t)
	beside, err := embedded.Open(other)
	if err != nil {
		t.Fatalf("a second etcd beside the first: %v", err)
	}
	beside.Close()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	again, err := embedded.Open(cfg)
	if err != nil {
		t.Fatalf("starting again: %v", err)
	}
	again.Close()
}

func TestEmbeddedConfig(t *testing.T) {
	err := embedded.Config{Port: 70000, Quota: -1}.Validate()
	for _, want := range []string{"--data-dir", "--etcd-port 70000", "--etcd-quota-bytes"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate: %v, want %s", err, want)
		}
	}
}

// TestEmbeddedSurvivesKill checks that kill -9 in the middle of writes loses no write that was acknowledged.
func TestEmbeddedSurvivesKill(t *testing.T) {
	dir := t.TempDir()
	if os.Getenv("GANTRY_TEST_ETCD") != "" {
		writeUntilKilled(os.Getenv("GANTRY_TEST_ETCD"))
		return
	}
	last := ""
	for range 3 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestEmbeddedSurvivesKill$")
		cmd.Env = append(os.Environ(), "GANTRY_TEST_ETCD="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; n < 50 && lines.Scan(); n++ {
			last = lines.Text()
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			last = lines.Text()
		}
		_ = cmd.Wait()
		began := time.Now()
		e, err := embedded.Open(embedded.Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatalf("starting after kill -9: %v", err)
		}
		t.Logf("ready %s after kill -9", time.Since(began))
		kv, _, err := store.NewEtcd(e.Client(), e.Client()).Get(testContext(t), "/a", 0)
		if err != nil || kv == nil || len(kv.Value) < len(last) || len(kv.Value) == len(last) && string(kv.Value) < last {
			t.Errorf("the last acknowledged write was %s, found %s, %v", last, kv.Value, err)
		}
		e.Close()
	}
}

func writeUntilKilled(dir string) {
	e, err := embedded.Open(embedded.Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return
	}
	s := store.NewEtcd(e.Client(), e.Client())
	for {
		now := fmt.Sprint(time.Now().UnixNano())
		if _, err := s.Commit(context.Background(), store.Txn{Puts: []store.Put{{Key: "/a", Value: []byte(now)}}}); err != nil {
			return
		}
		fmt.Println(now)
	}
}
