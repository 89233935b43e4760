package server

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	utilexec "k8s.io/client-go/util/exec"

	"gantry/agents/internal/netnstest"
	"gantry/agents/kubelet/engine"
)

func TestMain(m *testing.M) { netnstest.Main(m) }

// node is the server under test with a CA of its own.
type node struct {
	*httptest.Server
	t      *testing.T
	docker *fakeDocker
	logs   string // its log directory
	used   fakeStats
	// reviews answer for the gateway
	reviews fakeReviews
	ca      *x509.Certificate
	key     *ecdsa.PrivateKey
}

func newNode(t *testing.T, pid int) *node {
	t.Helper()
	n := &node{t: t, docker: newFakeDocker(t), logs: t.TempDir()}
	h, err := New(Config{Pods: fakePods{pid}, Engine: engine.New(n.docker, engine.Config{Node: testNode}), Log: slog.New(slog.DiscardHandler), LogDir: n.logs, Stats: &n.used, Reviews: &n.reviews, Node: testNode,
		Settings: Settings{Port: 10250, MaxPods: 110},
		Health:   http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })})
	if err != nil {
		t.Fatal(err)
	}
	n.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	n.ca = n.issue(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, Subject: pkix.Name{CommonName: "ca"}}, nil)
	pool := x509.NewCertPool()
	pool.AddCert(n.ca)
	n.Server = httptest.NewUnstartedServer(h)
	n.TLS = &tls.Config{ClientCAs: pool, ClientAuth: tls.VerifyClientCertIfGiven}
	n.StartTLS()
	t.Cleanup(n.Close)
	return n
}

// issue signs a certificate for the one key there is; parent nil: by itself.
func (n *node) issue(c, parent *x509.Certificate) *x509.Certificate {
	n.t.Helper()
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(1), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &n.key.PublicKey, n.key)
	if err != nil {
		n.t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		n.t.Fatal(err)
	}
	return out
}

// as is the configuration of a client with a name.
func (n *node) as(commonName string, organisations ...string) *rest.Config {
	n.t.Helper()
	c := n.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: commonName, Organization: organisations}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, n.ca)
	key, err := x509.MarshalECPrivateKey(n.key)
	if err != nil {
		n.t.Fatal(err)
	}
	return &rest.Config{Host: n.URL, TLSClientConfig: rest.TLSClientConfig{
		Insecure: true, // the server's name is not what is tested
		CertData: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}),
		KeyData:  pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: key}),
	}}
}

func (n *node) get(c *rest.Config, path string) (code int, body string) {
	n.t.Helper()
	client, err := rest.HTTPClientFor(c)
	if err != nil {
		n.t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	resp, err := client.Get(n.URL + path)
	if err != nil {
		n.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestWhoMay(t *testing.T) {
	n := newNode(t, 0)
	anonymous := &rest.Config{TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
	tests := []struct {
		name, path string
		as         *rest.Config
		want       int
	}{
		{"gateway", "/containerLogs/default/web/web", n.as("gantry-gateway"), 200},
		{"admin", "/containerLogs/default/web/web", n.as("kubernetes-admin", "system:masters"), 200},
		{"node", "/containerLogs/default/web/web", n.as("system:node:n1", "system:nodes"), 403},
		{"name like ours", "/pods", n.as("gantry-gateway2"), 403},
		{"anonymous", "/containerLogs/default/web/web", anonymous, 401},
		{"anonymous exec", "/exec/default/web/web?command=id&output=1", anonymous, 401},
		{"health", "/healthz", anonymous, 200},
		{"no such path", "/run/default/web/web", n.as("gantry-gateway"), 404},
	}
	for _, tt := range tests {
		if code, body := n.get(tt.as, tt.path); code != tt.want {
			t.Errorf("%s: %d %q, want %d", tt.name, code, body, tt.want)
		}
	}
}

func TestLogs(t *testing.T) {
	n := newNode(t, 0)
	tests := []struct {
		path string
		code int
		body string
	}{
		{"default/web/web", 200, "out of web\nerr of web\n"},
		{"default/web/web?stream=Stdout", 200, "out of web\n"},
		{"default/web/web?stream=Stderr", 200, "err of web\n"},
		{"default/web/web?previous=true", 200, "out of before\nerr of before\n"},
		{"default/web/web?limitBytes=14", 200, "out of web\nerr"},
		{"default/web/web?limitBytes=11", 200, "out of web\n"},
		{"default/web/tty", 200, "raw\r\n"},
		{"default/web/gone", 404, "inspecting container gone: no such container: not found"},
		{"default/other/web", 404, `pod "default/other" not found on this node`},
		{"default/web/starts", 400, `container "starts" in pod "web" is waiting to start: ContainerCreating`},
		{"default/web/web?tailLines=-1", 400, `parameter tailLines: "-1" is not a number of at least 0`},
		{"default/web/web?follow=perhaps", 400, `parameter follow: "perhaps" is not true or false`},
		{"default/web/web?sinceTime=yesterday", 400, `parameter sinceTime: parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006"`},
	}
	for _, tt := range tests {
		code, body := n.get(n.as("gantry-gateway"), "/containerLogs/"+tt.path)
		if code != tt.code || body != tt.body {
			t.Errorf("%s: %d %q, want %d %q", tt.path, code, body, tt.code, tt.body)
		}
	}
}

func TestLogQuery(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	q, err := parseLogQuery(url.Values{"follow": {"true"}, "timestamps": {"true"}, "tailLines": {"7"}, "sinceSeconds": {"90"}}, now)
	want := engine.LogOptions{Stdout: true, Stderr: true, Follow: true, Timestamps: true, Tail: 7, Since: now.Add(-90 * time.Second)}
	if diff := cmp.Diff(want, q.options); diff != "" || err != nil || q.limit != -1 {
		t.Errorf("%v %+v\n%s", err, q, diff)
	}
}

func TestFollowedLogComesAtOnce(t *testing.T) {
	n := newNode(t, 0)
	client, err := rest.HTTPClientFor(n.as("gantry-gateway"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.URL+"/containerLogs/default/web/web?follow=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b := make([]byte, len("out of web\n"))
	if _, err := io.ReadFull(resp.Body, b); err != nil || string(b) != "out of web\n" {
		t.Errorf("%q %v", b, err)
	}
	cancel()
}

// executors are the ways of a client to exec: kubectl's first choice, its second, and the protocol of older WebSocket clients.
func executors(t *testing.T, c *rest.Config, path string) map[string]remotecommand.Executor {
	t.Helper()
	u, err := url.Parse(c.Host + path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := remotecommand.NewSPDYExecutor(c, http.MethodPost, u)
	if err != nil {
		t.Fatal(err)
	}
	v5, err := remotecommand.NewWebSocketExecutor(c, http.MethodGet, u.String())
	if err != nil {
		t.Fatal(err)
	}
	v4, err := remotecommand.NewWebSocketExecutorForProtocols(c, http.MethodGet, u.String(), "v4.channel.k8s.io")
	if err != nil {
		t.Fatal(err)
	}
	return map[string]remotecommand.Executor{"spdy": s, "v5": v5, "v4": v4}
}

type oneSize struct {
	sizes chan remotecommand.TerminalSize
}

func (o oneSize) Next() *remotecommand.TerminalSize {
	s, ok := <-o.sizes
	if !ok {
		return nil
	}
	return &s
}

func TestExecAndAttach(t *testing.T) {
	n := newNode(t, 0)
	tests := []struct {
		name, path, in string
		tty            bool
		out, err       string
		code           int
		not            string // a way that cannot do it
	}{
		{name: "both outputs", path: "/exec/default/web/web?command=both&output=1&error=1", out: "to out", err: "to err"},
		{name: "by uid", path: "/exec/default/web/1234/web?command=both&output=1&error=1", out: "to out", err: "to err"},
		{name: "input ends", path: "/exec/default/web/web?command=echo&input=1&output=1", in: "hello", out: "hello", not: "v4"},
		{name: "only what is asked for", path: "/exec/default/web/web?command=input&output=1", out: "false true false"},
		{name: "exit code", path: "/exec/default/web/web?command=exit&command=3&output=1", code: 3},
		{name: "terminal", path: "/exec/default/web/web?command=size&output=1&tty=1", tty: true, out: "80x24"},
		{name: "attach", path: "/attach/default/web/web?output=1&error=1", out: "attached to web\n"},
		{name: "attach with input", path: "/attach/default/web/web?input=1&output=1", in: "hello", out: "attached to web\nhello", not: "v4"},
		{name: "attach to what ends", path: "/attach/default/web/ending?output=1&error=1", out: "attached to ending\n"},
		{name: "attach to a terminal", path: "/attach/default/web/tty?output=1&tty=1", tty: true, out: "attached to tty\n"},
	}
	for _, tt := range tests {
		for way, e := range executors(t, n.as("gantry-gateway"), tt.path) {
			if way == tt.not {
				continue
			}
			t.Run(tt.name+" by "+way, func(t *testing.T) {
				var out, errOut bytes.Buffer
				o := remotecommand.StreamOptions{Tty: tt.tty, Stdout: &out}
				if strings.Contains(tt.path, "error=1") {
					o.Stderr = &errOut
				}
				if strings.Contains(tt.path, "input=1") {
					o.Stdin = strings.NewReader(tt.in)
				}
				if tt.tty {
					sizes := make(chan remotecommand.TerminalSize, 1)
					sizes <- remotecommand.TerminalSize{Width: 80, Height: 24}
					close(sizes)
					o.TerminalSizeQueue = oneSize{sizes}
				}
				err := e.StreamWithContext(t.Context(), o)
				var exit utilexec.CodeExitError
				if tt.code == 0 && err != nil || tt.code != 0 && (!errors.As(err, &exit) || exit.Code != tt.code) {
					t.Errorf("error %v, want exit code %d", err, tt.code)
				}
				if out.String() != tt.out || errOut.String() != tt.err {
					t.Errorf("out %q, err %q; want %q, %q", out.String(), errOut.String(), tt.out, tt.err)
				}
			})
		}
	}
	select { // attach to a terminal may have sent its size after its end
	case <-n.docker.resized:
	default:
	}
}

func TestExecFaults(t *testing.T) {
	n := newNode(t, 0)
	for path, want := range map[string]string{
		"/exec/default/other/web?command=id&output=1": `404 pod "default/other" not found on this node`,
		"/exec/default/web/web?output=1":              "400 you must specify at least one command for the container",
		"/exec/default/web/web?command=id":            "400 you must specify at least 1 of stdin, stdout, stderr",
		"/attach/default/web/gone?output=1":           "404 inspecting container gone: no such container: not found",
		"/portForward/default/other":                  "404 pod not found",
		"/portForward/default/web":                    "400 unable to upgrade: header X-Stream-Protocol-Version does not exist in request with 2 headers\n",
	} {
		code, body := n.get(n.as("gantry-gateway"), path)
		if got := fmt.Sprint(code, " ", body); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	for way, e := range executors(t, n.as("gantry-gateway"), "/exec/default/web/stopped?command=id&output=1") {
		err := e.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdout: io.Discard})
		if err == nil || !strings.Contains(err.Error(), "error executing command in container: container stopped is not running") {
			t.Errorf("exec in a stopped container by %s: %v", way, err)
		}
	}
	for way, e := range executors(t, n.as("gantry-gateway"), "/attach/default/web/ended?output=1") {
		err := e.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdout: io.Discard})
		if err == nil || !strings.Contains(err.Error(), "error attaching to container: container ended is not running") {
			t.Errorf("attaching to a container that has ended by %s: %v", way, err)
		}
	}
}

func TestPortForward(t *testing.T) {
	pid := netnstest.Pod(t)
	netnstest.In(t, pid, func() { netnstest.SetLoopbackUp(t) })
	netnstest.Serve(t, pid, 8080, "pod")
	n := newNode(t, pid)
	c := n.as("gantry-gateway")
	transport, upgrader, err := spdy.RoundTripperFor(c)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(n.URL + "/portForward/default/web")
	if err != nil {
		t.Fatal(err)
	}
	stop, ready := make(chan struct{}), make(chan struct{})
	var complaints bytes.Buffer
	pf, err := portforward.NewOnAddresses(spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, u),
		[]string{"127.0.0.1"}, []string{"0:8080", "0:9"}, stop, ready, io.Discard, &complaints)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- pf.ForwardPorts() }()
	select {
	case <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	ports, err := pf.GetPorts()
	if err != nil {
		t.Fatal(err)
	}
	for range 5 { // one connection after the other over one stream connection
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", ports[0].Local))
		if err != nil {
			t.Fatal(err)
		}
		who, seen, err := netnstest.ReadAnswer(conn)
		if who != "pod" || seen != "127.0.0.1" {
			t.Errorf("%q answered and saw %q: %v", who, seen, err)
		}
		_ = conn.Close()
	}
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", ports[1].Local))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(conn); len(b) != 0 {
		t.Errorf("a closed port answered %q, %v", b, err)
	}
	close(stop)
	<-done
}
