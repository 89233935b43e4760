package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"gantry/agents/internal/daemon"
)

// healthCheck is what the health check port of a service answers: a load balancer sends clients only to nodes with endpoints.
type healthCheck struct {
	port           uint16
	localEndpoints int // ready ones
}

// healthCheckOf returns the health check of a service by its endpoints of the node's family; ok is false for those that have none: of another
// type than LoadBalancer, or with externalTrafficPolicy Cluster. Pure.
func healthCheckOf(svc *corev1.Service, eps []*discoveryv1.EndpointSlice, n *nodeInfo) (c healthCheck, ok bool) {
	port := svc.Spec.HealthCheckNodePort
	if svc.Spec.Type != corev1.ServiceTypeLoadBalancer || svc.Spec.ExternalTrafficPolicy != corev1.ServiceExternalTrafficPolicyLocal || port < 1 || port > 65535 ||
		svc.Labels["service.kubernetes.io/service-proxy-name"] != "" {
		return c, false
	}
	local := map[netip.Addr]bool{}
	for _, p := range svc.Spec.Ports {
		for _, b := range localBackends(backends(eps, p, n)) {
			if b.ready {
				local[b.addr.Addr()] = true
			}
		}
	}
	return healthCheck{uint16(port), len(local)}, true
}

// serviceHealth serves the health check ports, as kube-proxy does.
type serviceHealth struct {
	// healthy returns whether the proxy is.
	healthy func() bool
	log     *slog.Logger
	changed chan struct{} // has a message after setChecks

	mu     sync.Mutex             // guards checks
	checks map[string]healthCheck // by service
}

func newServiceHealth(healthy func() bool, log *slog.Logger) *serviceHealth {
	return &serviceHealth{healthy: healthy, log: log, changed: make(chan struct{}, 1), checks: map[string]healthCheck{}}
}

// setChecks sets what is answered, and on which ports run listens. Only the objects of names may have changed; nil: any.
func (s *serviceHealth) setChecks(all map[string]*compiledObject, names map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if names == nil {
		clear(s.checks)
		for name, c := range all {
			if c.health != nil {
				s.checks[name] = *c.health
			}
		}
	}
	for name := range names {
		if c := all[name]; c != nil && c.health != nil {
			s.checks[name] = *c.health
		} else {
			delete(s.checks, name)
		}
	}
	signal(s.changed)
}

// listenRetry is after how long a port that could not be opened is tried again.
const listenRetry = 3 * time.Second

// healthServer is a port that is open.
type healthServer struct {
	port  uint16
	close context.CancelFunc
	ended chan struct{} // closed when the port is
}

func (s healthServer) hasEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// run keeps the ports open until ctx is done. All are closed when it returns.
func (s *serviceHealth) run(ctx context.Context) error {
	servers, faults := map[string]healthServer{}, map[string]string{}
	retry := time.NewTimer(listenRetry)
	defer retry.Stop()
	defer closeServers(servers, func(string, healthServer) bool { return true })
	for ctx.Err() == nil {
		s.update(ctx, servers, faults)
		retry.Reset(listenRetry)
		select {
		case <-ctx.Done():
		case <-s.changed:
		case <-retry.C:
		}
	}
	return nil
}

// update closes the ports that are not wanted any more and opens those that are missing. faults are the errors that were logged.
func (s *serviceHealth) update(ctx context.Context, servers map[string]healthServer, faults map[string]string) {
	s.mu.Lock()
	wanted := maps.Clone(s.checks)
	s.mu.Unlock()
	closeServers(servers, func(name string, server healthServer) bool {
		return wanted[name].port != server.port || server.hasEnded()
	})
	maps.DeleteFunc(faults, func(name, _ string) bool { _, ok := wanted[name]; return !ok })
	for name, check := range wanted {
		if _, open := servers[name]; open {
			continue
		}
		server, err := s.open(ctx, name, check.port)
		if err != nil {
			if faults[name] != err.Error() {
				s.log.Warn("health check port not open", "agent", "proxy", "service", name, "port", check.port, "after", listenRetry, "err", err)
			}
			faults[name] = err.Error()
			continue
		}
		delete(faults, name)
		servers[name] = server
		s.log.Info("health check port open", "agent", "proxy", "service", name, "port", check.port)
	}
}

// closeServers closes and removes the ports that which picks.
func closeServers(servers map[string]healthServer, which func(string, healthServer) bool) {
	var closed []healthServer
	for name, server := range servers {
		if which(name, server) {
			server.close()
			closed = append(closed, server)
			delete(servers, name)
		}
	}
	for _, server := range closed {
		<-server.ended
	}
}

// open serves a port until the server is closed or ctx is done.
func (s *serviceHealth) open(ctx context.Context, name string, port uint16) (healthServer, error) {
	l, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		return healthServer{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	server := healthServer{port, cancel, make(chan struct{})}
	go func() {
		defer close(server.ended)
		defer cancel()
		answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { s.answer(w, name) })
		if err := daemon.ServeHTTP(ctx, &http.Server{Handler: answer, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}, l); err != nil {
			s.log.Warn("health check port closed", "agent", "proxy", "service", name, "port", port, "err", err)
		}
	}()
	return server, nil
}

// answer writes
//
//	{"service":{"namespace":"default","name":"web"},"localEndpoints":1,"serviceProxyHealthy":true}
//
// with status 200, or 503 where the node has no endpoint or its proxy does not work.
func (s *serviceHealth) answer(w http.ResponseWriter, name string) {
	s.mu.Lock()
	count := s.checks[name].localEndpoints
	s.mu.Unlock()
	healthy := s.healthy()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("X-Load-Balancing-Endpoint-Weight", strconv.Itoa(count))
	if count == 0 || !healthy {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	var body struct {
		Service struct {
			Namespace string `json:"namespace"`
			Name      string `json:"name"`
		} `json:"service"`
		LocalEndpoints      int  `json:"localEndpoints"`
		ServiceProxyHealthy bool `json:"serviceProxyHealthy"`
	}
	body.Service.Namespace, body.Service.Name, _ = strings.Cut(name, "/")
	body.LocalEndpoints, body.ServiceProxyHealthy = count, healthy
	e := json.NewEncoder(w)
	e.SetIndent("", "\t")
	_ = e.Encode(body)
}
