// Package gatewaytest gives tests a gateway over a store in memory, its clients, and their identities.
package gatewaytest

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"

	"gantry/agents/gateway"
	"gantry/agents/gateway/authorize/rbac"
	"gantry/agents/internal/daemon"
	"gantry/agents/internal/pki"
	"gantry/agents/internal/webhookclient"
	"gantry/registry"
	"gantry/registry/customkinds"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/kinds"
)

// Cluster is a gateway over a store in memory, served as it is in the field: TLS on loopback.
type Cluster struct {
	T        testing.TB
	Dir      string // with the files of keys and certificates
	URL      string
	Registry *registry.Registry
	Store    store.Store
	CA       *pki.Authority
	Admin    pki.Pair
	// Config is the gateway's, and Handler its handlers alone, with the same keys.
	Config  gateway.Config
	Handler http.Handler
	// Roles decides by the roles and bindings of Registry.
	Roles *rbac.Authorizer
	// Stop ends the gateway and the registry; they end with the test at the latest.
	Stop context.CancelFunc
}

// New starts one; change may alter its configuration. The gateway does not publish itself, so that a test's own
// requests are all that move the revision.
func New(t testing.TB, change ...func(*gateway.Config)) *Cluster {
	t.Helper()
	return NewOf(t, kinds.New(), change...)
}

// NewOf starts one with kinds of the test's own.
func NewOf(t testing.TB, kinds *schema.Kinds, change ...func(*gateway.Config)) *Cluster {
	t.Helper()
	c := &Cluster{T: t, Dir: t.TempDir()}
	var err error
	if c.CA, err = pki.OpenAuthority(filepath.Join(c.Dir, "pki"), "test-ca", true); err != nil {
		t.Fatal(err)
	}
	c.Admin = c.Pair("admin", pki.Request{CommonName: "kubernetes-admin", Organizations: []string{"system:masters"}})
	serving := c.Pair("gateway", pki.Request{CommonName: "gateway", Server: true, IPs: []net.IP{{127, 0, 0, 1}}})
	tokens, err := pki.SigningKey(filepath.Join(c.Dir, "sa.key"), true)
	if err != nil {
		t.Fatal(err)
	}
	registrytest.DetectMutations(t)
	c.Store = store.NewFake()
	log := slog.New(slog.DiscardHandler)
	c.Registry = registry.New(registry.Config{
		Store: c.Store, Kinds: kinds, Agent: "gateway", Log: log, Webhooks: &webhookclient.Client{},
		ServiceCIDRs: []netip.Prefix{netip.MustParsePrefix("10.96.0.0/16"), netip.MustParsePrefix("fd00:10:96::/112")},
	})
	c.Config = gateway.Config{
		Registry: c.Registry, BindAddress: netip.MustParseAddr("127.0.0.1"), AdvertiseAddress: netip.MustParseAddr("127.0.0.1"),
		Certificate: serving.Certificate, ClientCAs: c.CA.Pool(), ClusterCA: c.CA.PEM,
		KubeletClient: c.Pair("to-kubelet", pki.Request{CommonName: "gantry-gateway"}).Certificate, KubeletCAs: c.CA.Pool(),
		ServiceAccountKey: tokens, Health: &daemon.Health{}, Log: log,
	}
	for _, f := range change {
		f(&c.Config)
	}
	h, follow, err := gateway.Handler(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	c.Handler, c.Roles = h, rbac.New(c.Registry, log)
	c.run(follow, c.Roles.Run)
	return c
}

// run starts the registry, the gateway and what else runs beside it, and ends them with the test.
func (c *Cluster) run(beside ...func(context.Context) error) {
	c.T.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c.Stop = cancel
	run, served := make(chan error, 1), make(chan error, 1)
	go func() { run <- c.Registry.Run(ctx) }()
	custom := customkinds.New(c.Registry, c.Config.Log)
	followed := make(chan error, 1)
	go func() { followed <- custom.Run(ctx) }()
	c.Namespaces("default", "kube-system", "kube-node-lease")
	c.everybodysRoles()
	var background sync.WaitGroup
	for _, f := range beside {
		background.Go(func() { _ = f(ctx) }) // its only error is ctx's
	}
	bound := make(chan netip.AddrPort, 1)
	cfg := c.Config
	cfg.Ready = func(a netip.AddrPort) { bound <- a }
	go func() { served <- gateway.Run(ctx, cfg) }()
	c.T.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			c.T.Errorf("gateway ended with %v", err)
		}
		if err := <-followed; err != nil {
			c.T.Errorf("following the definitions of custom kinds ended with %v", err)
		}
		if err := <-run; err != nil {
			c.T.Errorf("registry ended with %v", err)
		}
		background.Wait()
	})
	select {
	case a := <-bound:
		c.URL = "https://" + a.String()
	case err := <-served:
		c.T.Fatalf("gateway ended with %v", err)
	}
}

// Pair is the certificate and key of an identity, signed by the CA. name is that of its files.
func (c *Cluster) Pair(name string, r pki.Request) pki.Pair {
	c.T.Helper()
	p, err := c.CA.Ensure(name, r)
	if err != nil {
		c.T.Fatal(err)
	}
	return p
}

// Node is the identity of a node.
func (c *Cluster) Node(name string) pki.Pair {
	return c.Pair("node-"+name, pki.Request{CommonName: "system:node:" + name, Organizations: []string{"system:nodes"}})
}
