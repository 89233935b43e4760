package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// upstream is the real kube-apiserver.
type upstream struct {
	process *process
	server  *server
}

// startUpstream starts kube-apiserver with its defaults on the plane's etcd, under a prefix of its own, with the plane's
// client authority: both know the same users.
func startUpstream(binary, dir, prefix string, p *plane) (*upstream, error) {
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	key := filepath.Join(dir, "sa.key")
	if err := writeKey(key); err != nil {
		return nil, err
	}
	etcd := filepath.Join(p.pki, "etcd")
	child, err := startProcess(dir, binary,
		"--etcd-servers", p.etcd, "--etcd-prefix", prefix, "--etcd-cafile", filepath.Join(etcd, "ca.crt"),
		"--etcd-certfile", filepath.Join(etcd, "client.crt"), "--etcd-keyfile", filepath.Join(etcd, "client.key"),
		"--cert-dir", dir, "--client-ca-file", filepath.Join(p.pki, "ca.crt"), "--authorization-mode", "Node,RBAC",
		"--service-account-issuer", "https://kubernetes.default.svc", "--service-account-key-file", key,
		"--service-account-signing-key-file", key, "--service-cluster-ip-range", serviceRange,
		"--allow-privileged", "--bind-address", "127.0.0.1", "--secure-port", ports[0])
	if err != nil {
		return nil, err
	}
	out := &upstream{process: child, server: &server{name: "upstream", client: p.server.client}}
	if out.server.base, err = url.Parse("https://127.0.0.1:" + ports[0]); err != nil {
		return nil, err
	}
	if err := child.waitFor(func() bool { return out.server.ready(time.Second) }); err != nil {
		child.end()
		return nil, err
	}
	return out, nil
}

// writeKey makes a key that signs the tokens of service accounts.
func writeKey(file string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}
