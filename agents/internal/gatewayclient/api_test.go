package gatewayclient_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"testing"

	"gantry/agents/gateway"
	"gantry/agents/internal/daemon"
	"gantry/agents/internal/gatewayclient"
	"gantry/agents/internal/pki"
	"gantry/registry"
	"gantry/registry/apitest"
	"gantry/registry/registrytest"
	"gantry/schema/kinds"
)

// TestAPI runs registry.API's suite on clients of gateways.
func TestAPI(t *testing.T) {
	apitest.Run(t, func(t *testing.T) registry.API {
		r, _ := registrytest.New(t)
		return gatewayTo(t, r)
	})
}

// gatewayTo starts a gateway to a registry and returns an administrator's client of it.
func gatewayTo(t *testing.T, r *registry.Registry) *gatewayclient.Client {
	t.Helper()
	dir := t.TempDir()
	ca, err := pki.OpenAuthority(filepath.Join(dir, "pki"), "test-ca", true)
	if err != nil {
		t.Fatal(err)
	}
	pair := func(name string, req pki.Request) tls.Certificate {
		p, err := ca.Ensure(name, req)
		if err != nil {
			t.Fatal(err)
		}
		return p.Certificate
	}
	tokens, err := pki.SigningKey(filepath.Join(dir, "sa.key"), true)
	if err != nil {
		t.Fatal(err)
	}
	bound := make(chan netip.AddrPort, 1)
	loopback := netip.MustParseAddr("127.0.0.1")
	cfg := gateway.Config{
		Registry: r, BindAddress: loopback, AdvertiseAddress: loopback,
		Certificate: pair("gateway", pki.Request{CommonName: "gateway", Server: true, IPs: []net.IP{{127, 0, 0, 1}}}),
		ClientCAs:   ca.Pool(), ClusterCA: ca.PEM,
		KubeletClient: pair("to-kubelet", pki.Request{CommonName: "gantry-gateway"}), KubeletCAs: ca.Pool(),
		ServiceAccountKey: tokens, Health: &daemon.Health{}, Log: slog.New(slog.DiscardHandler),
		Ready: func(a netip.AddrPort) { bound <- a },
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- gateway.Run(ctx, cfg) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("running the gateway: %v", err)
		}
	})
	select {
	case at := <-bound:
		admin := pair("admin", pki.Request{CommonName: "kubernetes-admin", Organizations: []string{"system:masters"}})
		return gatewayclient.New([]string{"https://" + at.String()}, &tls.Config{RootCAs: ca.Pool(), Certificates: []tls.Certificate{admin}}, kinds.New(), "test")
	case err := <-ended:
		t.Fatalf("the gateway ended with %v", err)
		return nil
	}
}
