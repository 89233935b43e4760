package stream_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilstream "k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	criforward "k8s.io/cri-streaming/pkg/streaming/portforward"
	criexec "k8s.io/cri-streaming/pkg/streaming/remotecommand"
	"k8s.io/streaming/pkg/httpstream"

	"gantry/agents/gateway/gatewaytest"
	"gantry/agents/gateway/stream"
	"gantry/agents/internal/pki"
	"gantry/registry"
	"gantry/schema/core"
)

// echoes is a kubelet whose every container writes back what it reads. arrived, where set, is told of each request for a log that
// is followed and has not begun; it ends with its client.
type echoes struct{ arrived chan<- struct{} }

func (echoes) ExecInContainer(_ context.Context, _, _, _ string, cmd []string, in io.Reader, out, _ io.WriteCloser, _ bool, _ <-chan criexec.TerminalSize, _ time.Duration) error {
	fmt.Fprintf(out, "%s:", strings.Join(cmd, " "))
	_, err := io.Copy(out, in)
	return err
}

func (echoes) PortForward(_ context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	defer stream.Close()
	b := make([]byte, 4)
	if _, err := io.ReadFull(stream, b); err != nil {
		return err
	}
	_, err := fmt.Fprintf(stream, "%d:%s", port, b)
	return err
}

func (e echoes) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if len(req.TLS.PeerCertificates) == 0 || req.TLS.PeerCertificates[0].Subject.CommonName != "gantry-gateway" || req.Header.Get("Authorization") != "" {
		http.Error(w, "this is not the gateway", http.StatusUnauthorized)
		return
	}
	parts := strings.Split(req.URL.Path, "/")
	switch parts[1] {
	case "containerLogs":
		switch req.URL.Query().Get("tailLines") {
		case "1":
			http.Error(w, `container "c" in pod "p" is waiting to start: ContainerCreating`, http.StatusBadRequest)
		case "2":
			http.Redirect(w, req, "/elsewhere", http.StatusFound)
		case "3":
			e.arrived <- struct{}{}
			<-req.Context().Done()
		default:
			fmt.Fprintf(w, "log of %s %s\n", strings.Join(parts[2:], "/"), req.URL.RawQuery)
		}
	case "exec":
		if req.URL.Query().Get("command") == "fail" {
			http.Error(w, "no such container", http.StatusNotFound)
			return
		}
		o, err := criexec.NewOptions(req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		criexec.ServeExec(w, req, e, parts[3], "", parts[4], req.URL.Query()["command"], o, time.Minute, time.Minute, criexec.SupportedStreamingProtocols)
	case "moved":
		http.Redirect(w, req, "/containerLogs/default/p/c", http.StatusFound)
	case "portForward":
		criforward.ServePortForward(w, req, e, parts[3], "", nil, time.Minute, time.Minute, []string{criforward.ProtocolV1Name})
	}
}

// withKubelet runs one for the node n1, which the pod p is bound to.
func withKubelet(t *testing.T) *gatewaytest.Cluster {
	t.Helper()
	c := gatewaytest.New(t)
	startKubelet(c, echoes{})
	return c
}

func startKubelet(c *gatewaytest.Cluster, e echoes) {
	t := c.T
	t.Helper()
	server := httptest.NewUnstartedServer(e)
	server.TLS = &tls.Config{
		Certificates: []tls.Certificate{c.Pair("kubelet", pki.Request{CommonName: "system:node:n1", Organizations: []string{"system:nodes"}, Server: true, IPs: []net.IP{{127, 0, 0, 1}}}).Certificate},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: c.CA.Pool(),
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	nodes := registry.For[*corev1.Node](c.Registry)
	if _, err := nodes.Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := nodes.ModifyStatus(t.Context(), "", "n1", func(n1 *corev1.Node) error {
		n1.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}}
		n1.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(n)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Registry.Get(t.Context(), core.Node, "", "n1", ""); err != nil { // then the cache knows
		t.Fatal(err)
	}
	for name, node := range map[string]string{"p": "n1", "waiting": ""} {
		if _, err := registry.For[*corev1.Pod](c.Registry).Create(t.Context(), gatewaytest.Pod(name, node)); err != nil {
			t.Fatal(err)
		}
	}
}

// A kubelet's page is taken whole or not at all, and from nobody but the node.
func TestAskKubelet(t *testing.T) {
	c := withKubelet(t)
	node, err := registry.For[*corev1.Node](c.Registry).Get(t.Context(), "", "n1")
	if err != nil {
		t.Fatal(err)
	}
	h := stream.New(stream.Config{
		Registry: c.Registry, Client: c.Config.KubeletClient, KubeletCAs: c.Config.KubeletCAs, Log: c.Config.Log,
		Own: func() netip.AddrPort { return netip.MustParseAddrPort("127.0.0.1:6443") },
	})
	other := node.DeepCopy()
	other.Name = "n2"
	const text = "log of default/p/c \n"
	for _, tt := range []struct {
		name  string
		node  *corev1.Node
		path  string
		limit int
		fault string
	}{
		{"a page", node, "/containerLogs/default/p/c", len(text), ""},
		{"too long", node, "/containerLogs/default/p/c", len(text) - 1, "more than 19 bytes"},
		{"an error", node, "/exec/default/p/c", 100, "400 Bad Request"},
		{"a redirect", node, "/moved", 100, "302 Found"},
		{"another node's kubelet", other, "/containerLogs/default/p/c", 100, "not that of system:node:n2"},
	} {
		body, err := h.AskKubelet(t.Context(), tt.node, tt.path, int64(tt.limit))
		if tt.fault == "" && (err != nil || string(body) != text) || tt.fault != "" && (err == nil || !strings.Contains(err.Error(), tt.fault)) {
			t.Errorf("%s: %q %v", tt.name, body, err)
		}
	}
}

const podPath = "/api/v1/namespaces/default/pods/p"

func TestLogs(t *testing.T) {
	c := withKubelet(t)
	for _, tt := range []struct {
		name, path string
		code       int
		want       string
	}{
		{"whole", podPath + "/log", 200, "log of default/p/c \n"},
		{"parameters", podPath + "/log?container=c&follow=true&limitBytes=10&timestamps=true", 200, "log of default/p/c follow=true&limitBytes=10&timestamps=true\n"},
		{"not bound yet", "/api/v1/namespaces/default/pods/waiting/log", 204, ""},
		{"not started", podPath + "/log?tailLines=1", 400, `container \"c\" in pod \"p\" is waiting to start: ContainerCreating`},
		{"a redirect is not followed", podPath + "/log?tailLines=2", 502, ""},
		{"no such container", podPath + "/log?container=../../x", 400, "container ../../x is not valid for pod p"},
		{"no such pod", "/api/v1/namespaces/default/pods/x/log", 404, `pods \"x\" not found`},
		{"bad limit", podPath + "/log?limitBytes=0", 422, "limitBytes: Invalid value: 0: must be greater than 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := c.As("GET", tt.path, "")
			if a.Code != tt.code || !strings.Contains(a.Body, tt.want) {
				t.Errorf("got %d %q\nwant %d %q", a.Code, a.Body, tt.code, tt.want)
			}
		})
	}
}

func restConfig(c *gatewaytest.Cluster) *rest.Config {
	return &rest.Config{Host: c.URL, TLSClientConfig: rest.TLSClientConfig{CAData: c.CA.PEM, CertFile: c.Admin.CertFile, KeyFile: c.Admin.KeyFile}}
}

func TestExec(t *testing.T) {
	c := withKubelet(t)
	plain := func(path string) (remotecommand.Executor, error) {
		u := c.Clientset(c.Admin).CoreV1().RESTClient().Post().AbsPath(strings.Split(path, "?")[0]).URL()
		u.RawQuery = strings.SplitN(path, "?", 2)[1]
		return remotecommand.NewSPDYExecutor(restConfig(c), "POST", u)
	}
	executors := map[string]func(path string) (remotecommand.Executor, error){
		"SPDY": plain,
		"as kubectl does": func(path string) (remotecommand.Executor, error) {
			second, err := plain(path)
			if err != nil {
				return nil, err
			}
			first, err := remotecommand.NewWebSocketExecutor(restConfig(c), "GET", c.URL+path)
			if err != nil {
				return nil, err
			}
			return remotecommand.NewFallbackExecutor(first, second, httpstream.IsUpgradeFailure)
		},
	}
	for name, executor := range executors {
		t.Run(name, func(t *testing.T) {
			e, err := executor(podPath + "/exec?command=cat&command=-&stdin=true&stdout=true&container=c")
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if err := e.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdin: strings.NewReader("hello"), Stdout: &out}); err != nil {
				t.Fatal(err)
			}
			if got, want := out.String(), "cat -:hello"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			e, err = executor(podPath + "/exec?command=fail&stdout=true")
			if err != nil {
				t.Fatal(err)
			}
			if err := e.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdout: &out}); err == nil {
				t.Error("a kubelet that refuses is no error")
			}
		})
	}
}

func TestExecRefusals(t *testing.T) {
	c := withKubelet(t)
	upgrade := []string{"Connection: Upgrade", "Upgrade: SPDY/3.1", "X-Stream-Protocol-Version: v4.channel.k8s.io"}
	client := c.Client(c.Admin.Certificate)
	tr := client.Transport.(*http.Transport)
	tr.ForceAttemptHTTP2, tr.TLSClientConfig.NextProtos = false, []string{"http/1.1"}
	for _, tt := range []struct {
		name, path string
		headers    []string
		code       int
		want       string
	}{
		{"not bound", "/api/v1/namespaces/default/pods/waiting/exec?command=ls&stdout=1", upgrade, 400, "pod waiting does not have a host assigned"},
		{"no streams", podPath + "/exec?command=ls", upgrade, 400, "you must specify at least 1 of stdin, stdout, stderr"},
		{"no command", podPath + "/exec?stdout=1", upgrade, 400, "you must specify at least one command for the container"},
		{"no upgrade", podPath + "/exec?command=ls&stdout=1", nil, 400, "Upgrade request required"},
		{"a container elsewhere", podPath + "/exec?command=ls&stdout=1&container=../../x", upgrade, 400, "container ../../x is not valid for pod p"},
		{"the kubelet refuses", podPath + "/exec?command=fail&stdout=1", upgrade, 404, `"kind":"Status"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := c.Do(client, "POST", tt.path, "", tt.headers...)
			if a.Code != tt.code || !strings.Contains(a.Body, tt.want) {
				t.Errorf("got %d %q\nwant %d %q", a.Code, a.Body, tt.code, tt.want)
			}
		})
	}
}

func TestPortForward(t *testing.T) {
	c := withKubelet(t)
	tr, upgrader, err := spdy.RoundTripperFor(restConfig(c))
	if err != nil {
		t.Fatal(err)
	}
	u := c.Clientset(c.Admin).CoreV1().RESTClient().Post().AbsPath(podPath + "/portforward").URL()
	plain := spdy.NewDialer(upgrader, &http.Client{Transport: tr}, "POST", u)
	tunnel, err := portforward.NewSPDYOverWebsocketDialer(u, restConfig(c))
	if err != nil {
		t.Fatal(err)
	}
	for name, dialer := range map[string]utilstream.Dialer{
		"SPDY": plain, "inside a WebSocket": tunnel, "as kubectl does": portforward.NewFallbackDialer(tunnel, plain, httpstream.IsUpgradeFailure),
	} {
		t.Run(name, func(t *testing.T) { forward(t, dialer) })
	}
}

// forward forwards a port and speaks with what listens there.
func forward(t *testing.T, dialer utilstream.Dialer) {
	t.Helper()
	stop, ready := make(chan struct{}), make(chan struct{})
	f, err := portforward.New(dialer, []string{"0:80"}, stop, ready, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- f.ForwardPorts() }()
	select {
	case <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	ports, err := f.GetPorts()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", ports[0].Local))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte("ping")); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 7)
		if _, err := io.ReadFull(conn, b); err != nil || string(b) != "80:ping" {
			t.Errorf("got %q %v, want 80:ping", b, err)
		}
		_ = conn.Close()
	}
	close(stop)
	if err := <-done; err != nil && !errors.Is(err, portforward.ErrLostConnectionToPod) {
		t.Error(err)
	}
}

// What the kubelet refuses, or cannot be asked, is no WebSocket.
func TestTunnelRefusals(t *testing.T) {
	c := withKubelet(t)
	client := c.Client(c.Admin.Certificate)
	tr := client.Transport.(*http.Transport)
	tr.ForceAttemptHTTP2, tr.TLSClientConfig.NextProtos = false, []string{"http/1.1"}
	offer := func(p string) []string {
		return []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol: " + p}
	}
	for _, tt := range []struct {
		name, path, protocol string
		code                 int
		want                 string
	}{
		{"not bound", "/api/v1/namespaces/default/pods/waiting/portforward", "SPDY/3.1+portforward.k8s.io", 400, "pod waiting does not have a host assigned"},
		{"a protocol that the kubelet does not speak", podPath + "/portforward", "SPDY/3.1+v9.k8s.io", 403, "unable to upgrade"},
		{"exec has none", podPath + "/exec?command=ls&stdout=1", "SPDY/3.1+v4.channel.k8s.io", 400, "the only subprotocol offered is not supported"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if a := c.Do(client, "GET", tt.path, "", offer(tt.protocol)...); a.Code != tt.code || !strings.Contains(a.Body, tt.want) {
				t.Errorf("got %d %q\nwant %d %q", a.Code, a.Body, tt.code, tt.want)
			}
		})
	}
}
