package up

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"gantry/agents/internal/pki"
)

// TestUserKubeconfig checks whose certificate is in it, and that it is a new one each time.
func TestUserKubeconfig(t *testing.T) {
	dir := t.TempDir()
	authority, err := pki.OpenAuthority(filepath.Join(dir, "pki"), "ca", true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := UserKubeconfig(dir, "jane", nil, ""); err == nil || !strings.Contains(err.Error(), "--server") {
		t.Errorf("without admin.conf: %v", err)
	}
	admin, err := authority.Ensure("admin", pki.Request{CommonName: "admin"})
	if err != nil {
		t.Fatal(err)
	}
	if err := pki.Kubeconfig(filepath.Join(dir, "admin.conf"), "https://192.0.2.1:6443", "admin", authority, admin); err != nil {
		t.Fatal(err)
	}
	read := func(server string) (string, *x509.Certificate) {
		t.Helper()
		text, err := UserKubeconfig(dir, "jane", []string{"devs", "ops"}, server)
		if err != nil {
			t.Fatal(err)
		}
		var conf struct {
			Clusters []struct{ Cluster struct{ Server string } }
			Users    []struct {
				User struct {
					Cert []byte `json:"client-certificate-data"`
					Key  []byte `json:"client-key-data"`
				}
			}
		}
		if err := yaml.Unmarshal(text, &conf); err != nil {
			t.Fatal(err)
		}
		pair, err := tls.X509KeyPair(conf.Users[0].User.Cert, conf.Users[0].User.Key)
		if err != nil {
			t.Fatal(err)
		}
		return conf.Clusters[0].Cluster.Server, pair.Leaf
	}
	server, cert := read("")
	if _, err := cert.Verify(x509.VerifyOptions{Roots: authority.Pool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	if server != "https://192.0.2.1:6443" || cert.Subject.CommonName != "jane" || !slices.Equal(slices.Sorted(slices.Values(cert.Subject.Organization)), []string{"devs", "ops"}) {
		t.Errorf("%s, %v", server, cert.Subject)
	}
	if server, other := read("https://gantry.example.com"); server != "https://gantry.example.com" || other.Equal(cert) {
		t.Errorf("%s, the same certificate: %v", server, other.Equal(cert))
	}
	if _, err := UserKubeconfig(dir, "", nil, ""); err == nil {
		t.Error("a user without a name has a kubeconfig")
	}
	if err := os.Remove(filepath.Join(dir, "pki", "ca.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := UserKubeconfig(dir, "jane", nil, ""); err == nil || !strings.Contains(err.Error(), "ca.key") {
		t.Errorf("without the authority's key: %v", err)
	}
}
