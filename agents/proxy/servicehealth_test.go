package proxy

import (
	"encoding/json"
	"net"
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
)

func TestHealthCheckOf(t *testing.T) {
	local := func(s *corev1.Service) *corev1.Service {
		s.Spec.Type, s.Spec.ExternalTrafficPolicy, s.Spec.HealthCheckNodePort = corev1.ServiceTypeLoadBalancer, corev1.ServiceExternalTrafficPolicyLocal, 31000
		return s
	}
	web := func() *corev1.Service {
		return local(service("web", "10.96.0.12", port("http", 80, 0), port("admin", 81, 0)))
	}
	for _, tc := range []struct {
		name   string
		change func(*corev1.Service)
		want   healthCheck
	}{
		{"ready endpoints of this node, each once", func(*corev1.Service) {}, healthCheck{31000, 2}},
		{"cluster policy", func(s *corev1.Service) { s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyCluster }, healthCheck{}},
		{"node port only", func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeNodePort }, healthCheck{}},
		{"no port", func(s *corev1.Service) { s.Spec.HealthCheckNodePort = 0 }, healthCheck{}},
		{"a port that is none", func(s *corev1.Service) { s.Spec.HealthCheckNodePort = 70000 }, healthCheck{}},
		{"another proxy's", func(s *corev1.Service) { s.Labels = map[string]string{"service.kubernetes.io/service-proxy-name": "x"} }, healthCheck{}},
	} {
		svc := web()
		tc.change(svc)
		endpoints := []string{"10.244.1.2@n1", "10.244.1.3@n1", "10.244.1.4@n1 terminating", "10.244.1.5@n1 unready", "10.244.2.2@n2"}
		got, ok := healthCheckOf(svc, eps(slice("web", "http", 8080, endpoints...), slice("web", "admin", 8081, endpoints...)), testNode)
		if got != tc.want || ok != (tc.want.port != 0) {
			t.Errorf("%s: %+v, %t, want %+v", tc.name, got, ok, tc.want)
		}
	}
}

// serviceHealthAnswer is what a health check port answers; code 0: it is closed.
type serviceHealthAnswer struct {
	code           int
	service        string
	localEndpoints int
	healthy        bool
	weight         string
}

func askServiceHealth(t *testing.T, address string) (a serviceHealthAnswer) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	resp, err := client.Get("http://" + address)
	if err != nil {
		return a
	}
	defer resp.Body.Close()
	var body struct {
		Service             struct{ Namespace, Name string }
		LocalEndpoints      int
		ServiceProxyHealthy bool
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	return serviceHealthAnswer{resp.StatusCode, body.Service.Namespace + "/" + body.Service.Name, body.LocalEndpoints, body.ServiceProxyHealthy,
		resp.Header.Get("X-Load-Balancing-Endpoint-Weight")}
}

// The health check port follows its Service: it answers how many endpoints the node has, moves, waits for a port that is in use, and
// closes with the Service and with the proxy.
func TestServiceHealth(t *testing.T) {
	c := newCluster(t)
	c.start()
	until := func(address string, want serviceHealthAnswer) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; {
			got := askServiceHealth(t, address)
			if got == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %+v, want %+v", address, got, want)
			}
		}
	}
	create(c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}})
	svc := service("web", "", port("", 80, 0))
	svc.Spec.ClusterIP, svc.Spec.ClusterIPs = "", nil
	svc.Spec.Type, svc.Spec.ExternalTrafficPolicy, svc.Spec.HealthCheckNodePort = corev1.ServiceTypeLoadBalancer, corev1.ServiceExternalTrafficPolicyLocal, 31000
	create(c, svc)
	until("127.0.0.1:31000", serviceHealthAnswer{503, "default/web", 0, true, "0"})
	create(c, slice("web", "", 8080, "10.244.1.2@n1", "10.244.1.3@n1", "10.244.2.3@n2"))
	until("127.0.0.1:31000", serviceHealthAnswer{200, "default/web", 2, true, "2"})
	if _, err := registry.For[*discoveryv1.EndpointSlice](c.r).Modify(t.Context(), "default", "web-1", func(s *discoveryv1.EndpointSlice) error {
		for i := range s.Endpoints {
			s.Endpoints[i].Conditions.Ready = new(bool)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	until("127.0.0.1:31000", serviceHealthAnswer{503, "default/web", 0, true, "0"})

	taken, err := net.Listen("tcp4", ":31001")
	if err != nil {
		t.Fatal(err)
	}
	other := service("other", "", port("", 80, 0))
	other.Spec.ClusterIP, other.Spec.ClusterIPs = "", nil
	other.Spec.Type, other.Spec.ExternalTrafficPolicy, other.Spec.HealthCheckNodePort = corev1.ServiceTypeLoadBalancer, corev1.ServiceExternalTrafficPolicyLocal, 31001
	create(c, other)
	if _, err := registry.For[*corev1.Service](c.r).Modify(t.Context(), "default", "web", func(s *corev1.Service) error {
		s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyCluster
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	until("127.0.0.1:31000", serviceHealthAnswer{}) // by then the other port was tried
	taken.Close()
	until("127.0.0.1:31001", serviceHealthAnswer{503, "default/other", 0, true, "0"})
	c.stop()
	if got := askServiceHealth(t, "127.0.0.1:31001"); got.code != 0 {
		t.Errorf("after the proxy has ended: %+v", got)
	}
}

func TestServiceHealthOfABrokenProxy(t *testing.T) {
	s := newServiceHealth(func() bool { return false }, nil)
	s.checks = map[string]healthCheck{"default/web": {31000, 3}}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { s.answer(w, "default/web") })}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	defer func() { srv.Close(); <-done }()
	if got, want := askServiceHealth(t, l.Addr().String()), (serviceHealthAnswer{503, "default/web", 3, false, "3"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
