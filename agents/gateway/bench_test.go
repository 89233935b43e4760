package gateway_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/gateway/authenticate"
	"gantry/agents/gateway/gatewaytest"
	"gantry/registry"
)

// void is a client that takes everything.
type void struct{ header http.Header }

func (v void) Header() http.Header         { return v.header }
func (v void) Write(b []byte) (int, error) { return len(b), nil }
func (v void) WriteHeader(int)             {}

// BenchmarkServe measures the chain and the handlers alone: no TLS, no HTTP framing.
func BenchmarkServe(b *testing.B) {
	c := gatewaytest.New(b)
	for i := range 500 {
		if _, err := registry.For[*corev1.Pod](c.Registry).Create(b.Context(), gatewaytest.Pod(fmt.Sprintf("p%03d", i), "")); err != nil {
			b.Fatal(err)
		}
	}
	leaf, err := x509.ParseCertificate(c.Admin.Certificate.Certificate[0])
	if err != nil {
		b.Fatal(err)
	}
	for _, bm := range []struct{ name, path, accept string }{
		{"get", "/api/v1/namespaces/default/pods/p001", "application/json"},
		{"list", "/api/v1/namespaces/default/pods", "application/json"},
		{"table", "/api/v1/namespaces/default/pods", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			peer := authenticate.WithPeer(b.Context(), nil)
			for b.Loop() {
				req := httptest.NewRequestWithContext(peer, "GET", bm.path, http.NoBody)
				req.Header.Set("Accept", bm.accept)
				req.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}
				c.Handler.ServeHTTP(void{http.Header{}}, req)
			}
		})
	}
}

// BenchmarkWrite measures creations and patches: the chain, the handlers and the registry over a store in memory.
func BenchmarkWrite(b *testing.B) {
	c := gatewaytest.New(b)
	leaf, err := x509.ParseCertificate(c.Admin.Certificate.Certificate[0])
	if err != nil {
		b.Fatal(err)
	}
	if _, err := registry.For[*corev1.Pod](c.Registry).Create(b.Context(), gatewaytest.Pod("patched", "")); err != nil {
		b.Fatal(err)
	}
	const pods, patched = "/api/v1/namespaces/default/pods", "/api/v1/namespaces/default/pods/patched"
	peer := authenticate.WithPeer(b.Context(), nil)
	n := 0
	for _, bm := range []struct{ name, method, path, media, body string }{
		{"create", "POST", pods, "application/json", `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p%d","labels":{"app":"web"}},"spec":{"containers":[{"name":"c","image":"nginx:1.25","env":[{"name":"A","value":"b"}],"resources":{"requests":{"cpu":"10m"}}}]}}`},
		{"merge", "PATCH", patched, "application/merge-patch+json", `{"metadata":{"labels":{"n":"%d"}}}`},
		{"strategic", "PATCH", patched, "application/strategic-merge-patch+json", `{"metadata":{"labels":{"n":"%d"}}}`},
		{"json", "PATCH", patched, "application/json-patch+json", `[{"op":"add","path":"/metadata/labels","value":{"n":"j%d"}}]`},
		{"status", "PATCH", patched + "/status", "application/strategic-merge-patch+json", `{"status":{"message":"%d"}}`},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n++
				req := httptest.NewRequestWithContext(peer, bm.method, bm.path, strings.NewReader(fmt.Sprintf(bm.body, n)))
				req.Header.Set("Content-Type", bm.media)
				req.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}
				w := &coded{void: void{http.Header{}}}
				c.Handler.ServeHTTP(w, req)
				if w.code >= 300 {
					b.Fatalf("answer %d", w.code)
				}
			}
		})
	}
}

// coded is a void that notes the code.
type coded struct {
	void
	code int
}

func (c *coded) WriteHeader(code int) { c.code = code }
