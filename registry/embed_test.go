package registry

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// testEtcd is a real etcd in this process, with a directory of its own.
func testEtcd(t *testing.T) *Embedded {
	t.Helper()
	e, err := OpenEmbedded(EmbeddedConfig{Dir: t.TempDir(), NoSync: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// testCerts makes one certificate that is CA, server and client in one.
func testCerts(t *testing.T) (certFile, keyFile string, config *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "etcd"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "crt"), filepath.Join(dir, "key")
	for name, data := range map[string][]byte{certFile: certPEM, keyFile: keyPEM} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return certFile, keyFile, &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// TestEmbeddedForEtcdctl: what etcdctl does, with a certificate and without; and the faults of a start.
func TestEmbeddedForEtcdctl(t *testing.T) {
	cert, key, config := testCerts(t)
	cfg := EmbeddedConfig{Dir: filepath.Join(t.TempDir(), "etcd"), Port: freePort(t), CertFile: cert, KeyFile: key, CAFile: cert, NoSync: true, Log: slog.New(slog.DiscardHandler)}
	e, err := OpenEmbedded(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(testContext(t))
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	endpoint := fmt.Sprintf("https://127.0.0.1:%d", cfg.Port)
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, TLS: config, Logger: ClientLog(slog.New(slog.DiscardHandler))})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	s := NewEtcd(client, client)
	if err := s.check(ctx, true); err != nil {
		t.Errorf("check: %v", err)
	}
	rev := put(t, s, "/registry/pods/n/a", podJSON("n", "a", ""))
	kv, _, err := NewEtcd(e.Client(), e.Client()).Get(ctx, "/registry/pods/n/a", 0)
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
	if _, err := OpenEmbedded(cfg); err == nil || !strings.Contains(err.Error(), "in use by another process") || !strings.Contains(err.Error(), "--data-dir") {
		t.Errorf("a second etcd on the same directory: %v", err)
	}
	other := cfg
	other.Dir = t.TempDir()
	if _, err := OpenEmbedded(other); err == nil || !strings.Contains(err.Error(), "--etcd-port") {
		t.Errorf("a second etcd on the same port: %v", err)
	}
	other.Port = freePort(t)
	beside, err := OpenEmbedded(other)
	if err != nil {
		t.Fatalf("a second etcd beside the first: %v", err)
	}
	beside.Close()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	again, err := OpenEmbedded(cfg)
	if err != nil {
		t.Fatalf("starting again: %v", err)
	}
	again.Close()
}

func TestEmbeddedConfig(t *testing.T) {
	err := EmbeddedConfig{Port: 70000, Quota: -1}.Validate()
	for _, want := range []string{"--data-dir", "--etcd-port 70000", "--etcd-quota-bytes"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate: %v, want %s", err, want)
		}
	}
}

// TestEmbeddedSurvivesKill: kill -9 in the middle of writes loses none that was acknowledged.
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
		e, err := OpenEmbedded(EmbeddedConfig{Dir: dir, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatalf("starting after kill -9: %v", err)
		}
		t.Logf("ready %s after kill -9", time.Since(began))
		kv, _, err := NewEtcd(e.Client(), e.Client()).Get(testContext(t), "/a", 0)
		if err != nil || kv == nil || len(kv.Value) < len(last) || len(kv.Value) == len(last) && string(kv.Value) < last {
			t.Errorf("the last acknowledged write was %s, found %s, %v", last, kv.Value, err)
		}
		e.Close()
	}
}

func writeUntilKilled(dir string) {
	e, err := OpenEmbedded(EmbeddedConfig{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return
	}
	s := NewEtcd(e.Client(), e.Client())
	for {
		now := fmt.Sprint(time.Now().UnixNano())
		if _, err := s.Commit(context.Background(), Txn{Puts: []Put{{Key: "/a", Value: []byte(now)}}}); err != nil {
			return
		}
		fmt.Println(now)
	}
}

// TestEtcdRestarts: etcd is gone and back; what was deleted meanwhile is heard of, and nothing twice.
func TestEtcdRestarts(t *testing.T) {
	cert, key, config := testCerts(t)
	cfg := EmbeddedConfig{Dir: t.TempDir(), Port: freePort(t), CertFile: cert, KeyFile: key, CAFile: cert, Log: slog.New(slog.DiscardHandler)}
	e, err := OpenEmbedded(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	dial := func() *clientv3.Client {
		client, err := clientv3.New(clientv3.Config{Endpoints: []string{fmt.Sprintf("https://127.0.0.1:%d", cfg.Port)}, TLS: config, Logger: ClientLog(slog.New(slog.DiscardHandler))})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		return client
	}
	s := NewEtcd(dial(), dial())
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
	if e, err = OpenEmbedded(cfg); err != nil {
		t.Fatal(err)
	}
	inside := NewEtcd(e.Client(), e.Client())
	d := del(t, inside, "/registry/pods/n/a")
	b := put(t, inside, "/registry/pods/n/b", podJSON("n", "b", ""))
	if got, want := fmt.Sprint(show(next(t, w, 2))), fmt.Sprintf("[DELETED a %d ADDED b %d]", d, b); got != want {
		t.Errorf("a watcher saw %s, want %s", got, want)
	}
	if got := <-changes + " " + <-changes; got != "- a + b" {
		t.Errorf("Follow told %s", got)
	}
	if l, err := r.List(ctx, podKind, "", ListOptions{}); err != nil || names(l) != "b" {
		t.Errorf("List = %s, %v", names(l), err)
	}
	cancel()
	<-followed
}
