package stream_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/websocket"
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/gateway"
	"gantry/agents/gateway/gatewaytest"
	"gantry/agents/internal/pki"
	"gantry/registry"
	"gantry/schema/core"
)

// TestLogsByWebSocket reads logs as the messages of a WebSocket, as browsers do.
func TestLogsByWebSocket(t *testing.T) {
	c := withKubelet(t)
	const text = "log of default/p/c \n"
	for _, tt := range []struct {
		name, path string
		protocols  []string
		picked     string
		want       string // all messages together
		fails      bool
	}{
		{name: "binary", path: podPath + "/log", protocols: []string{"binary.k8s.io"}, picked: "binary.k8s.io", want: text},
		{name: "text", path: podPath + "/log", protocols: []string{"base64.binary.k8s.io"}, picked: "base64.binary.k8s.io", want: base64.StdEncoding.EncodeToString([]byte(text))},
		{name: "without a protocol", path: podPath + "/log", want: text},
		{name: "the first that is spoken", path: podPath + "/log", protocols: []string{"other", "binary.k8s.io"}, picked: "binary.k8s.io", want: text},
		{name: "followed", path: podPath + "/log?follow=true", protocols: []string{"binary.k8s.io"}, picked: "binary.k8s.io", want: "log of default/p/c follow=true\n"},
		{name: "not bound yet", path: "/api/v1/namespaces/default/pods/waiting/log", protocols: []string{"binary.k8s.io"}, picked: "binary.k8s.io"},
		{name: "another protocol", path: podPath + "/log", protocols: []string{"channel.k8s.io"}, fails: true},
		{name: "not started", path: podPath + "/log?tailLines=1", fails: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn, err := socket(c, tt.path, tt.protocols)
			if (err != nil) != tt.fails {
				t.Fatal(err)
			}
			if err != nil {
				return
			}
			defer conn.Close()
			var got []byte
			for first := true; ; first = false {
				var message []byte
				if err := websocket.Message.Receive(conn, &message); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				if first && len(message) > 0 {
					t.Errorf("the first message is %q, want an empty one", message)
				}
				got = append(got, message...)
			}
			if string(got) != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if p := strings.Join(conn.Config().Protocol, ","); p != tt.picked {
				t.Errorf("protocol %q, want %q", p, tt.picked)
			}
		})
	}
}

func socket(c *gatewaytest.Cluster, path string, protocols []string) (*websocket.Conn, error) {
	c.T.Helper()
	config, err := websocket.NewConfig(strings.Replace(c.URL, "https", "wss", 1)+path, c.URL)
	if err != nil {
		c.T.Fatal(err)
	}
	config.Protocol = protocols
	config.TlsConfig = &tls.Config{RootCAs: c.CA.Pool(), Certificates: []tls.Certificate{c.Admin.Certificate}}
	return websocket.DialConfig(config)
}

// errorLines keeps what is logged as an error.
type errorLines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *errorLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// TestClientLeavesLog checks that nothing is logged as an error when a client leaves before the log or the kubelet's answer begins, and
// that the request to the kubelet ends.
func TestClientLeavesLog(t *testing.T) {
	lines := &errorLines{}
	for _, by := range []string{"HTTP", "a WebSocket"} {
		t.Run(by, func(t *testing.T) {
			c := gatewaytest.New(t, func(cfg *gateway.Config) {
				cfg.Log = slog.New(slog.NewTextHandler(lines, &slog.HandlerOptions{Level: slog.LevelError}))
			})
			arrived := make(chan struct{})
			startKubelet(c, echoes{arrived})
			ctx, leave := context.WithCancel(t.Context())
			req, err := http.NewRequestWithContext(ctx, "GET", c.URL+podPath+"/log?follow=true&tailLines=3", nil)
			if err != nil {
				t.Fatal(err)
			}
			client := c.Client(c.Admin.Certificate)
			if by != "HTTP" {
				client.Transport.(*http.Transport).ForceAttemptHTTP2 = false
				client.Transport.(*http.Transport).TLSClientConfig.NextProtos = []string{"http/1.1"}
				for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-Websocket-Version": "13", "Sec-Websocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="} {
					req.Header.Set(name, value)
				}
			}
			done := make(chan error, 1)
			go func() {
				resp, err := client.Do(req)
				if err == nil {
					err = resp.Body.Close()
				}
				done <- err
			}()
			<-arrived
			leave()
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) { // nil: the answer had begun
				t.Errorf("got %v, want that it was cancelled", err)
			}
		}) // which ends when the gateway has: all that it logs is logged
	}
	if lines.b.Len() > 0 {
		t.Errorf("logged: %s", lines.b.String())
	}
}

// TestOnlyTheNodesKubeletIsAsked checks that only the node's own kubelet gets a request, and that the error does not tell a client what
// else listens at the address that the node has written.
func TestOnlyTheNodesKubeletIsAsked(t *testing.T) {
	c := withKubelet(t)
	var asked atomic.Int32
	impostor := func(r pki.Request) netip.AddrPort {
		r.Server, r.IPs = true, []net.IP{{127, 0, 0, 1}}
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
		s.TLS = &tls.Config{Certificates: []tls.Certificate{c.Pair("impostor-"+r.CommonName, r).Certificate}, ClientAuth: tls.RequestClientCert}
		s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		s.StartTLS()
		t.Cleanup(s.Close)
		return netip.MustParseAddrPort(s.Listener.Addr().String())
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := netip.MustParseAddrPort(closed.Addr().String())
	closed.Close()
	gateway := netip.MustParseAddrPort(strings.TrimPrefix(c.URL, "https://"))
	const want = `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Internal error occurred: error dialing backend: the kubelet of node \"n1\" cannot be reached","reason":"InternalError","details":{"causes":[{"message":"error dialing backend: the kubelet of node \"n1\" cannot be reached"}]},"code":500}`
	upgrade := []string{"Connection: Upgrade", "Upgrade: SPDY/3.1", "X-Stream-Protocol-Version: v4.channel.k8s.io"}
	client := c.Client(c.Admin.Certificate)
	client.Transport.(*http.Transport).ForceAttemptHTTP2 = false
	client.Transport.(*http.Transport).TLSClientConfig.NextProtos = []string{"http/1.1"}
	for name, at := range map[string]netip.AddrPort{
		"another node":               impostor(pki.Request{CommonName: "system:node:n2", Organizations: []string{"system:nodes"}}),
		"its name without the group": impostor(pki.Request{CommonName: "system:node:n1"}),
		"another server":             impostor(pki.Request{CommonName: "gantry-etcd"}),
		"nobody":                     nobody,
		"the gateway":                gateway,
		"the gateway by a sibling":   netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), gateway.Port()),
		"metadata":                   netip.MustParseAddrPort("169.254.169.254:80"),
		"anywhere":                   netip.MustParseAddrPort("0.0.0.0:80"),
	} {
		if _, err := registry.For[*corev1.Node](c.Registry).ModifyStatus(t.Context(), "", "n1", func(n *corev1.Node) error {
			n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: at.Addr().String()}}
			n.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(at.Port())
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Registry.Get(t.Context(), core.Node, "", "n1", ""); err != nil { // then the cache knows
			t.Fatal(err)
		}
		for path, headers := range map[string][]string{podPath + "/log": nil, podPath + "/exec?command=id&stdout=1": upgrade, podPath + "/portforward": upgrade} {
			if a := c.Do(client, "GET", path, "", headers...); a.Code != 500 || a.Body != want {
				t.Errorf("%s, %s: got %d %s\nwant 500 %s", name, path, a.Code, a.Body, want)
			}
		}
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("%d requests reached somebody else", n)
	}
}
