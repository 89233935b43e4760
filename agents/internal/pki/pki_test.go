package pki

import (
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPairIsKeptUntilTheRequestChanges(t *testing.T) {
	dir := t.TempDir()
	a, err := OpenAuthority(dir, "test-ca", true)
	if err != nil {
		t.Fatal(err)
	}
	r := Request{CommonName: "gantry-gateway", Organizations: []string{"x"}, DNSNames: []string{"kubernetes"}, IPs: []net.IP{net.IPv4(10, 96, 0, 1)}, Server: true}
	first, err := a.Ensure("gateway", r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Leaf.Verify(x509.VerifyOptions{Roots: a.Pool(), DNSName: "10.96.0.1"}); err != nil {
		t.Errorf("the certificate does not serve its address: %v", err)
	}
	again, err := OpenAuthority(dir, "test-ca", true)
	if err != nil {
		t.Fatal(err)
	}
	second, err := again.Ensure("gateway", r)
	if err != nil {
		t.Fatal(err)
	}
	if !second.Leaf.Equal(first.Leaf) {
		t.Error("an unchanged request made a new certificate")
	}
	r.DNSNames = append(r.DNSNames, "localhost")
	third, err := again.Ensure("gateway", r)
	if err != nil {
		t.Fatal(err)
	}
	if third.Leaf.Equal(first.Leaf) || third.Leaf.VerifyHostname("localhost") != nil {
		t.Error("a changed request did not make a new certificate")
	}
	if info, _ := os.Stat(third.KeyFile); info.Mode().Perm() != 0o600 {
		t.Errorf("key mode %v, want 0600", info.Mode())
	}
}

func TestAuthorityWithoutKeyLoadsExistingPairs(t *testing.T) {
	dir := t.TempDir()
	a, err := OpenAuthority(dir, "test-ca", true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Ensure("kubelet", Request{CommonName: "system:node:n1"}); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "ca.key")); err != nil {
		t.Fatal(err)
	}
	keyless, err := OpenAuthority(dir, "test-ca", false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keyless.Ensure("kubelet", Request{CommonName: "another"}); err != nil {
		t.Errorf("the existing pair was not loaded: %v", err)
	}
	if _, err := keyless.Ensure("gateway", Request{}); err == nil || !strings.Contains(err.Error(), "ca.key is absent") {
		t.Errorf("an absent pair without ca.key: %v, want an error that says so", err)
	}
	if _, err := OpenAuthority(t.TempDir(), "x", false); err == nil {
		t.Error("an absent authority was opened without create")
	}
}
