package stream_test

import (
	"compress/gzip"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/websocket"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/gateway"
	"gantry/agents/gateway/gatewaytest"
	"gantry/registry"
)

// reachable is an address of this machine that may be a pod's.
func reachable(t *testing.T) netip.Addr {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && p.Addr().IsGlobalUnicast() {
			return p.Addr()
		}
	}
	t.Fatal("this machine has no address but loopback")
	return netip.Addr{}
}

// serve runs what a pod serves, and returns its port. It tells what it was asked.
func serve(t *testing.T, at netip.Addr, secure bool) (port int32) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("X-Mine", "yes")
		fmt.Fprintf(w, "%s %s %q tls=%t auth=%q as=%q uri=%q for=%q", req.Method, req.URL.RequestURI(), body, req.TLS != nil,
			req.Header.Get("Authorization"), req.Header.Get("Impersonate-User"), req.Header.Get("X-Forwarded-Uri"), req.Header.Get("X-Forwarded-For"))
	})
	mux.HandleFunc("/redirect", func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Location", req.URL.Query().Get("to"))
		w.WriteHeader(http.StatusFound)
	})
	mux.HandleFunc("/page", func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		const text = `<A HREF="/x">x</A><a href="y">y</a><img src='/z/'><script>a("/no")</script>`
		if !strings.Contains(req.Header.Get("Accept-Encoding"), "gzip") {
			fmt.Fprint(w, text)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		fmt.Fprint(z, text)
		_ = z.Close()
	})
	mux.Handle("/socket", websocket.Handler(func(ws *websocket.Conn) { _, _ = io.Copy(ws, ws) }))
	l, err := net.Listen("tcp", net.JoinHostPort(at.String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: mux}}
	if secure {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return int32(l.Addr().(*net.TCPAddr).Port)
}

// withBackends gives the pod p an address, and a service web of it with the ports http and https.
func withBackends(t *testing.T) (c *gatewaytest.Cluster, at netip.Addr, plain, secure int32) {
	t.Helper()
	c, at = gatewaytest.New(t, func(cfg *gateway.Config) { cfg.ServiceCIDRs = []netip.Prefix{netip.MustParsePrefix("10.96.0.0/16")} }), reachable(t)
	startKubelet(c, echoes{})
	plain, secure = serve(t, at, false), serve(t, at, true)
	setAddress(c, at.String())
	if _, err := registry.For[*corev1.Service](c.Registry).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 80}, {Name: "https", Port: 443}}},
	}); err != nil {
		t.Fatal(err)
	}
	elsewhere := corev1.EndpointAddress{IP: "10.9.9.9", TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: "default", Name: "p"}}
	byHand := corev1.EndpointAddress{IP: "10.9.9.8"}
	good := corev1.EndpointAddress{IP: at.String(), TargetRef: elsewhere.TargetRef}
	if _, err := registry.For[*corev1.Endpoints](c.Registry).Create(t.Context(), &corev1.Endpoints{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
		Subsets: []corev1.EndpointSubset{{
			Addresses: []corev1.EndpointAddress{elsewhere, byHand, good},
			Ports:     []corev1.EndpointPort{{Name: "http", Port: plain}, {Name: "https", Port: secure}},
		}},
	}); err != nil {
		t.Fatal(err)
	}
	return c, at, plain, secure
}

func setAddress(c *gatewaytest.Cluster, ip string) {
	c.T.Helper()
	if _, err := registry.For[*corev1.Pod](c.Registry).ModifyStatus(c.T.Context(), "default", "p", func(p *corev1.Pod) error {
		p.Status.PodIP, p.Status.PodIPs = ip, []corev1.PodIP{{IP: ip}}
		return nil
	}); err != nil {
		c.T.Fatal(err)
	}
	if _, err := registry.For[*corev1.Pod](c.Registry).Get(c.T.Context(), "default", "p"); err != nil { // then the cache knows
		c.T.Fatal(err)
	}
}

func TestProxies(t *testing.T) {
	c, at, plain, secure := withBackends(t)
	const services = "/api/v1/namespaces/default/services/"
	pod := fmt.Sprintf("%s:%d", podPath, plain)
	for _, tt := range []struct {
		name, method, path, body string
		code                     int
		want                     string
	}{
		{"a pod", "GET", pod + "/proxy/a/b?c=d", "", 200, `GET /a/b?c=d "" tls=false auth="" as="" uri="/api/v1/namespaces/default/pods/p:` + strconv.Itoa(int(plain)) + `/proxy/a/b" for="127.0.0.1"`},
		{"its root", "GET", pod + "/proxy/", "", 200, `GET / ""`},
		{"a directory", "GET", pod + "/proxy/a/", "", 200, `GET /a/ ""`},
		{"by TLS", "GET", fmt.Sprintf("/api/v1/namespaces/default/pods/https:p:%d/proxy/a", secure), "", 200, `GET /a "" tls=true`},
		{"put", "PUT", pod + "/proxy/a", "text", 200, `PUT /a "text"`},
		{"post without a path", "POST", pod + "/proxy", "text", 200, `POST / "text"`},
		{"patch", "PATCH", pod + "/proxy/a", "text", 200, `PATCH /a "text"`},
		{"delete", "DELETE", pod + "/proxy/a", "", 200, `DELETE /a ""`},
		{"options", "OPTIONS", pod + "/proxy/a", "", 200, `OPTIONS /a ""`},
		{"a service by its port", "GET", services + "web:80/proxy/a", "", 200, `GET /a "" tls=false`},
		{"by the port's name", "GET", services + "web:http/proxy/a", "", 200, `GET /a "" tls=false`},
		{"by TLS, by name", "GET", services + "https:web:https/proxy/a", "", 200, `GET /a "" tls=true`},
		{"a port of a node", "GET", fmt.Sprintf("/api/v1/nodes/n1:%d/proxy/a", plain), "", 400, "address not allowed"},
		{"the node's kubelet", "GET", "/api/v1/nodes/n1/proxy/containerLogs/default/p/c?follow=true", "", 200, "log of default/p/c follow=true\n"},
		{"no such scheme", "GET", "/api/v1/namespaces/default/pods/ftp:p:21/proxy/a", "", 400, "invalid pod request \\\"ftp:p:21\\\""},
		{"a port that is none", "GET", podPath + ":0/proxy/a", "", 400, "invalid pod request"},
		{"no such pod", "GET", "/api/v1/namespaces/default/pods/x/proxy/a", "", 404, `pods \"x\" not found`},
		{"no such service", "GET", services + "x/proxy/a", "", 404, `services \"x\" not found`},
		{"no such port", "GET", services + "web:81/proxy/a", "", 503, `no service port 81 found for service \"web\"`},
		{"no such port's name", "GET", services + "web:x/proxy/a", "", 503, `no endpoints available for service \"web:x\"`},
		{"a pod that has none", "GET", "/api/v1/namespaces/default/pods/waiting/proxy/a", "", 400, "address not allowed"},
		{"nobody there", "GET", podPath + ":1/proxy/a", "", 503, "error trying to reach service: dial tcp " + at.String() + ":1: connect: connection refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := c.As(tt.method, tt.path, tt.body, "Authorization: Basic x")
			if a.Code != tt.code || !strings.Contains(a.Body, tt.want) {
				t.Errorf("got %d %q\nwant %d %q", a.Code, a.Body, tt.code, tt.want)
			}
			if strings.HasPrefix(a.Body, tt.method+" ") && (a.Header.Get("Access-Control-Allow-Origin") != "" || a.Header.Get("X-Mine") != "yes") {
				t.Errorf("headers %v", a.Header)
			}
		})
	}
	client := c.Client(c.Admin.Certificate)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, method := range []string{"GET", "HEAD"} {
		if a := c.Do(client, method, pod+"/proxy?a=b", ""); a.Code != 301 || a.Header.Get("Location") != pod+"/proxy/?a=b" {
			t.Errorf("%s without a slash: %d to %q", method, a.Code, a.Header.Get("Location"))
		}
	}
}

// Redirects and links are the client's to follow, through the gateway.
func TestProxiedLinks(t *testing.T) {
	c, at, plain, _ := withBackends(t)
	prefix := fmt.Sprintf("%s:%d/proxy", podPath, plain)
	client := c.Client(c.Admin.Certificate)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	backend, asked := fmt.Sprintf("http://%s:%d", at, plain), c.URL
	for to, want := range map[string]string{
		"/a/": prefix + "/a/", "a": "a", backend + "/a?b": prefix + "/a?b", asked + "/a": asked + prefix + "/a",
		"http://other.example.com/a": "http://other.example.com/a", prefix + "/a": prefix + "/a", "http://169.254.169.254/": "http://169.254.169.254/",
	} {
		if a := c.Do(client, "GET", prefix+"/redirect?to="+to, ""); a.Code != 302 || a.Header.Get("Location") != want {
			t.Errorf("to %s: got %d %s, want %s", to, a.Code, a.Header.Get("Location"), want)
		}
	}
	want := `<a href="` + prefix + `/x">x</A><a href="y">y</a><img src="` + prefix + `/z/"><script>a("/no")</script>`
	for _, encoding := range []string{"", "Accept-Encoding: br, gzip"} {
		a := c.Do(client, "GET", prefix+"/page", "", encoding)
		if d := cmp.Diff(want, a.Body); d != "" || a.Code != 200 {
			t.Errorf("%s: %d (-want +got):\n%s", encoding, a.Code, d)
		}
	}
}

func TestProxiedUpgrade(t *testing.T) {
	c, _, plain, _ := withBackends(t)
	config, err := websocket.NewConfig(strings.Replace(c.URL, "https", "wss", 1)+fmt.Sprintf("%s:%d/proxy/socket", podPath, plain), c.URL)
	if err != nil {
		t.Fatal(err)
	}
	config.TlsConfig = &tls.Config{RootCAs: c.CA.Pool(), Certificates: []tls.Certificate{c.Admin.Certificate}}
	ws, err := config.DialContext(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	if _, err := ws.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5)
	if _, err := io.ReadFull(ws, b); err != nil || string(b) != "hello" {
		t.Errorf("got %q %v", b, err)
	}
}

// A pod's address is what its node writes: it may not lead where only the gateway gets.
func TestProxiedAddresses(t *testing.T) {
	c, _, _, _ := withBackends(t)
	for _, ip := range []string{"127.0.0.1", "::1", "169.254.169.254", "fe80::1", "224.0.0.1", "10.96.0.1"} {
		setAddress(c, ip)
		if a := c.As("GET", podPath+":6443/proxy/a", ""); a.Code != 400 || !strings.Contains(a.Body, "address not allowed") {
			t.Errorf("%s: got %d %s", ip, a.Code, a.Body)
		}
	}
}
