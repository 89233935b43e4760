package gatewaytest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"gantry/agents/gateway/authenticate"
	"gantry/agents/internal/pki"
)

// Client makes an HTTP client that shows certs.
func (c *Cluster) Client(certs ...tls.Certificate) *http.Client {
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: c.CA.Pool(), Certificates: certs}, ForceAttemptHTTP2: true, DisableCompression: true,
	}
	c.T.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

// Answer is what came back.
type Answer struct {
	Code   int
	Header http.Header
	Body   string
}

// Has returns whether the body has a text, as it is or as a string in JSON writes it.
func (a Answer) Has(text string) bool {
	quoted, _ := json.Marshal(text) // strings always marshal
	return strings.Contains(a.Body, text) || strings.Contains(a.Body, string(quoted[1:len(quoted)-1]))
}

// Do sends one request; headers are "Name: value", or "" for none.
func (c *Cluster) Do(client *http.Client, method, path, body string, headers ...string) Answer {
	c.T.Helper()
	req, err := http.NewRequestWithContext(c.T.Context(), method, c.URL+path, strings.NewReader(body))
	if err != nil {
		c.T.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		if name, value, ok := strings.Cut(h, ": "); ok {
			req.Header.Set(name, value)
		}
	}
	resp, err := client.Do(req)
	if err != nil {
		c.T.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.T.Fatal(err)
	}
	return Answer{resp.StatusCode, resp.Header, string(b)}
}

// As is Do with the admin's certificate.
func (c *Cluster) As(method, path, body string, headers ...string) Answer {
	c.T.Helper()
	return c.Do(c.Client(c.Admin.Certificate), method, path, body, headers...)
}

// Clientset is client-go's, for the owner of a pair.
func (c *Cluster) Clientset(p pki.Pair) *kubernetes.Clientset {
	c.T.Helper()
	set, err := kubernetes.NewForConfig(&rest.Config{
		Host: c.URL, QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAData: c.CA.PEM, CertFile: p.CertFile, KeyFile: p.KeyFile},
	})
	if err != nil {
		c.T.Fatal(err)
	}
	return set
}

// Kubectl runs the real one and returns what it wrote; a failure fails the test unless the arguments start with "!".
func (c *Cluster) Kubectl(stdin string, args ...string) string {
	c.T.Helper()
	fails := args[0] == "!"
	if fails {
		args = args[1:]
	}
	file := filepath.Join(c.Dir, "admin.conf")
	if _, err := os.Stat(file); err != nil {
		if err := pki.Kubeconfig(file, c.URL, "admin", c.CA, c.Admin); err != nil {
			c.T.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(c.T.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "kubectl", args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+file, "HOME="+c.Dir, "KUBECTL_APPLYSET=")
	cmd.Stdin = strings.NewReader(stdin)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); (err != nil) != fails {
		c.T.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out.String())
	}
	return out.String()
}

// Dial opens a connection for HTTP/1, with the administrator's certificate or none. Whoever reads from it waits a minute at most.
func (c *Cluster) Dial(admin bool) *tls.Conn {
	c.T.Helper()
	cfg := &tls.Config{RootCAs: c.CA.Pool(), NextProtos: []string{"http/1.1"}}
	if admin {
		cfg.Certificates = []tls.Certificate{c.Admin.Certificate}
	}
	conn, err := tls.Dial("tcp", strings.TrimPrefix(c.URL, "https://"), cfg)
	if err != nil {
		c.T.Fatal(err)
	}
	c.T.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		c.T.Fatal(err)
	}
	return conn
}

// Request is a request for Handler by the owner of a pair, as it comes from a connection. Its body is JSON.
func Request(t testing.TB, p pki.Pair, method, path string, body io.Reader) *http.Request {
	t.Helper()
	leaf, err := x509.ParseCertificate(p.Certificate.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(authenticate.WithPeer(t.Context(), nil), method, path, body)
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}
	r.Header.Set("Content-Type", "application/json")
	return r
}

// Until calls f, which asks the gateway, until it returns "" or a minute has passed.
func (c *Cluster) Until(f func() string) {
	c.T.Helper()
	deadline := time.Now().Add(time.Minute)
	for missing := f(); missing != ""; missing = f() {
		if time.Now().After(deadline) {
			c.T.Fatalf("not after a minute: %s", missing)
		}
	}
}

// UntilCode sends a request until the answer has a code.
func (c *Cluster) UntilCode(client *http.Client, code int, method, path, body string, headers ...string) (a Answer) {
	c.T.Helper()
	c.Until(func() string {
		if a = c.Do(client, method, path, body, headers...); a.Code == code {
			return ""
		}
		return fmt.Sprintf("%s %s: %d %s, want %d", method, path, a.Code, a.Body, code)
	})
	return a
}
