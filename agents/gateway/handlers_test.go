package gateway_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"gantry/agents/gateway"
	"gantry/agents/gateway/authenticate"
	"gantry/agents/gateway/authorize"
	"gantry/agents/gateway/gatewaytest"
	"gantry/agents/internal/pki"
	"gantry/schema"
	"gantry/schema/kinds"
)

// cluster is a gatewaytest.Cluster with handlers of the test's own beside the gateway's.
type cluster struct {
	*gatewaytest.Cluster
	gateway     *gateway.Handlers
	connections sync.Map // of the clients of ask: *x509.Certificate -> context.Context
}

func newCluster(t testing.TB) *cluster {
	t.Helper()
	return newClusterOf(t, kinds.New())
}

func newClusterOf(t testing.TB, kinds *schema.Kinds) *cluster {
	t.Helper()
	c := &cluster{Cluster: gatewaytest.NewOf(t, kinds)}
	c.rebuild(c.Registry, authorize.New(c.Registry, c.Roles))
	return c
}

func leafOf(t *testing.T, p pki.Pair) *x509.Certificate {
	t.Helper()
	leaf, err := x509.ParseCertificate(p.Certificate.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

// rebuild makes the handlers anew, over another registry and authorizer.
func (c *cluster) rebuild(reg gateway.Objects, authz authorize.Authorizer) {
	c.T.Helper()
	g, err := gateway.Assemble(c.Config, reg, authz)
	if err != nil {
		c.T.Fatal(err)
	}
	c.gateway = g
}

// ask gives the handlers alone one request. Those of one client are of one connection.
func (c *cluster) ask(leaf *x509.Certificate, method, path, body string, headers ...string) gatewaytest.Answer {
	connection, _ := c.connections.LoadOrStore(leaf, authenticate.WithPeer(c.T.Context(), nil))
	req := httptest.NewRequestWithContext(connection.(context.Context), method, path, strings.NewReader(body))
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	req.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}
	w := httptest.NewRecorder()
	c.gateway.ServeHTTP(w, req)
	return gatewaytest.Answer{Code: w.Code, Header: w.Header(), Body: w.Body.String()}
}
