package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"gantry/agents/gateway/advertise"
	"gantry/agents/gateway/authenticate"
	"gantry/agents/gateway/request"
	"gantry/registry/safely"
)

// The bounds of a connection. Go's server lets a TLS handshake take no longer than headers may.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 90 * time.Second
	maxHeader     = 256 << 10 // bytes
	maxStreams    = 250       // of one HTTP/2 connection at once
	drainTime     = 5 * time.Second
)

// Handler returns the handlers of a gateway, which Run serves: without a listener, and without its identity lease. They need follow, which runs
// until its context is done.
func Handler(cfg Config) (h http.Handler, follow func(context.Context) error, err error) {
	g, err := newGateway(cfg)
	if err != nil {
		return nil, nil, err
	}
	return g, g.follow, nil
}

// follow keeps what the handlers know of roles and extension servers, until ctx is done.
func (g *gateway) follow(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return g.roles.Run(ctx) })
	group.Go(func() error { return g.extensions.Run(ctx) })
	return group.Wait()
}

// Run serves the API until ctx is done: then watches end at once, other requests get a few seconds.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	g, err := newGateway(cfg)
	if err != nil {
		return err
	}
	cfg = g.cfg
	address := netip.AddrPortFrom(cfg.BindAddress, uint16(cfg.SecurePort))
	host := ""
	if cfg.BindAddress.IsValid() && !cfg.BindAddress.IsUnspecified() {
		host = cfg.BindAddress.String()
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(cfg.SecurePort)))
	if err != nil {
		return fmt.Errorf("listening on %s (--bind-address, --secure-port): %w", address, err)
	}
	bound, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		return errors.Join(fmt.Errorf("reading the address listened on: %w", err), l.Close())
	}
	g.cfg.SecurePort = int(bound.Port())
	cfg.Health.Ready("registry", cfg.Registry.Ready)
	if cfg.Ready != nil {
		cfg.Ready(bound)
	}
	cfg.Log.Info("gateway serving", "address", bound.String())

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return serve(ctx, g.server(ctx), l) })
	group.Go(func() error { return g.follow(ctx) })
	if len(cfg.ServiceCIDRs) > 0 {
		group.Go(func() error {
			own := advertise.Config{Registry: cfg.Registry, Address: g.advertised(), ClusterCA: cfg.ClusterCA, FrontProxyCA: cfg.FrontProxyCA, Log: cfg.Log}
			return safely.Keep(ctx, cfg.Log, "keeping the identity lease", own.Run)
		})
	}
	return group.Wait()
}

// server is the HTTP server with its bounds; stop is the context whose end ends watches.
func (g *gateway) server(stop context.Context) *http.Server {
	return &http.Server{
		Handler: g,
		TLSConfig: &tls.Config{
			Certificates:   certificates(g.cfg),
			GetCertificate: g.cfg.GetCertificate,
			MinVersion:     tls.VersionTLS12,
			NextProtos:     []string{"h2", "http/1.1"},
			// Asked for here and verified by authenticate: a bad one is 401, not a broken handshake.
			ClientAuth: tls.RequestClientCert,
			ClientCAs:  g.cfg.ClientCAs,
		},
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams,
			MaxReadFrameSize:     256 << 10,
			SendPingTimeout:      30 * time.Second,
			PingTimeout:          15 * time.Second,
			WriteByteTimeout:     30 * time.Second,
		},
		ConnContext: authenticate.WithPeer,
		BaseContext: func(net.Listener) context.Context {
			return request.WithStopping(context.Background(), stop)
		},
		ErrorLog: slog.NewLogLogger(g.cfg.Log.Handler(), slog.LevelDebug), // handshakes that clients break off
	}
}

func certificates(cfg Config) []tls.Certificate {
	if len(cfg.Certificate.Certificate) == 0 {
		return nil
	}
	return []tls.Certificate{cfg.Certificate}
}

// serve runs s on l until ctx is done and every request has ended or been cut.
func serve(ctx context.Context, s *http.Server, l net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- s.ServeTLS(l, "", "") }()
	select {
	case err := <-served:
		return fmt.Errorf("serving the API: %w", err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	err := s.Shutdown(drain)
	if err != nil {
		err = s.Close()
	}
	<-served
	return err
}

// advertised is where others reach this gateway, "10.0.0.1:6443".
func (g *gateway) advertised() netip.AddrPort {
	return netip.AddrPortFrom(g.cfg.AdvertiseAddress, uint16(g.cfg.SecurePort))
}
