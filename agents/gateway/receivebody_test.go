package gateway

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"gantry/agents/gateway/authenticate"
	"gantry/agents/internal/pki"
)

// silent is a body that never comes. The first read tells asked.
type silent struct {
	asked chan<- struct{}
	end   <-chan struct{}
}

func (s silent) Read([]byte) (int, error) {
	select {
	case s.asked <- struct{}{}:
	case <-s.end:
	}
	<-s.end
	return 0, io.ErrUnexpectedEOF
}

// post is a request by the owner of a pair, as it comes from a connection.
func post(t *testing.T, p pki.Pair, path string, body io.Reader) *http.Request {
	t.Helper()
	leaf, err := x509.ParseCertificate(p.Certificate.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(authenticate.WithPeer(t.Context(), nil), "POST", path, body)
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}
	r.Header.Set("Content-Type", "application/json")
	return r
}

const configMaps = "/api/v1/namespaces/default/configmaps"

// TestUnsentBodiesAreNotInFlight: requests whose bodies are not sent block neither another user nor their own.
func TestUnsentBodiesAreNotInFlight(t *testing.T) {
	const places = 8
	c := newCluster(t, func(cfg *Config) { cfg.MaxWrites = places })
	asked, end := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	for range places {
		wg.Go(func() {
			w := httptest.NewRecorder()
			c.gateway.ServeHTTP(w, post(t, c.admin, configMaps, silent{asked, end}))
			if w.Code != http.StatusBadRequest {
				t.Errorf("a body that broke off is answered %d: %s", w.Code, w.Body)
			}
		})
	}
	for range places {
		<-asked
	}
	other := c.pair("other", pki.Request{CommonName: "other", Organizations: []string{"system:masters"}})
	for i, p := range []pki.Pair{other, c.admin} {
		w := httptest.NewRecorder()
		body := strings.NewReader(fmt.Sprintf(`{"metadata":{"name":"m%d"}}`, i))
		c.gateway.ServeHTTP(w, post(t, p, configMaps, body))
		// The user whose bodies do not come may not have more on their way.
		if want := []int{http.StatusCreated, http.StatusTooManyRequests}[i]; w.Code != want {
			t.Errorf("answer %d, want %d: %s", w.Code, want, w.Body)
		}
	}
	w := httptest.NewRecorder()
	r := post(t, c.admin, configMaps+"/m0", http.NoBody)
	r.Method = "DELETE"
	c.gateway.ServeHTTP(w, r) // needs no body, and a place is free
	if w.Code != http.StatusOK {
		t.Errorf("answer %d: %s", w.Code, w.Body)
	}
	close(end)
	wg.Wait()
	w = httptest.NewRecorder()
	c.gateway.ServeHTTP(w, post(t, c.admin, configMaps, strings.NewReader(`{"metadata":{"name":"m2"}}`)))
	if w.Code != http.StatusCreated {
		t.Errorf("bodies that broke off count still: answer %d: %s", w.Code, w.Body)
	}
}

// TestUnsentBodiesEnd: a connection on which an announced body is not sent is closed, for authenticated and other clients.
func TestUnsentBodiesEnd(t *testing.T) {
	const short = 300 * time.Millisecond
	c := newCluster(t, func(cfg *Config) { cfg.RequestTimeout = short })
	for _, tt := range []struct {
		name, head, want string
		known            bool
	}{
		{"anonymous", "POST " + configMaps + " HTTP/1.1", " 401 ", false},
		{"anonymous in chunks", "POST " + configMaps + " HTTP/1.1\r\nTransfer-Encoding: chunked", " 401 ", false},
		{"anonymous watch", "GET " + configMaps + "?watch=1 HTTP/1.1", " 401 ", false},
		{"anonymous health", "GET /healthz HTTP/1.1", " 504 ", false},
		{"known", "POST " + configMaps + " HTTP/1.1", " 504 ", true},
		{"known, with a timeout", "POST " + configMaps + "?timeout=10ms HTTP/1.1", " 504 ", true},
		{"known, of no kind", "POST /api/v1/nothing HTTP/1.1", " 404 ", true},
		{"known, with a bad timeout", "POST " + configMaps + "?timeout=x HTTP/1.1", " 400 ", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			conn := dial(t, c, tt.known)
			head := tt.head + "\r\nHost: gateway\r\nContent-Type: application/json\r\n"
			if !strings.Contains(head, "chunked") {
				head += "Content-Length: 1000\r\n"
			}
			if _, err := io.WriteString(conn, head+"\r\n"); err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(conn) // until the gateway ends it
			line, _, _ := strings.Cut(string(answer), "\r\n")
			if err != nil || !strings.Contains(line, tt.want) {
				t.Errorf("answer %q (%v), want%s", line, err, tt.want)
			}
		})
	}
}

// dial opens a connection for HTTP/1, with the admin's certificate or none. Whoever reads from it waits a minute at most.
func dial(t *testing.T, c *cluster, known bool) net.Conn {
	t.Helper()
	cfg := &tls.Config{RootCAs: c.ca.Pool(), NextProtos: []string{"http/1.1"}}
	if known {
		cfg.Certificates = []tls.Certificate{c.admin.Certificate}
	}
	conn, err := tls.Dial("tcp", strings.TrimPrefix(c.url, "https://"), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestUnsentBodyOfAStreamIsAnswered: in HTTP/2 the stream of a body that is not sent is answered and ends, and others go on.
func TestUnsentBodyOfAStreamIsAnswered(t *testing.T) {
	c := newCluster(t, func(cfg *Config) { cfg.RequestTimeout = 300 * time.Millisecond })
	client := c.client(c.admin.Certificate)
	body, promise := io.Pipe()
	defer promise.Close()
	r, err := http.NewRequestWithContext(t.Context(), "POST", c.url+configMaps, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.ProtoMajor != 2 || resp.StatusCode != http.StatusGatewayTimeout {
		t.Errorf("answer %s %s", resp.Proto, resp.Status)
	}
	if a := c.do(client, "POST", configMaps, `{"metadata":{"name":"m"}}`); a.code != http.StatusCreated {
		t.Errorf("answer %d: %s", a.code, a.body)
	}
}

// TestWatchOutlivesTimeouts: the times of requests and bodies are not those of a watch, in HTTP/1 as little as in HTTP/2.
func TestWatchOutlivesTimeouts(t *testing.T) {
	c := newCluster(t, func(cfg *Config) { cfg.RequestTimeout = 100 * time.Millisecond })
	conn := dial(t, c, true)
	_, err := io.WriteString(conn, "GET "+configMaps+"?watch=1&resourceVersion=0 HTTP/1.1\r\nHost: gateway\r\nContent-Length: 2\r\n\r\n{}")
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil) // its body ends with the connection
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("answer %s", resp.Status)
	}
	for range 3 { // other requests' time passes
		late := dial(t, c, true)
		if _, err := io.WriteString(late, "POST "+configMaps+" HTTP/1.1\r\nHost: gateway\r\nContent-Length: 1000\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(late); err != nil {
			t.Fatal(err)
		}
	}
	if a := c.as("POST", configMaps, `{"metadata":{"name":"late"}}`); a.code != http.StatusCreated {
		t.Fatalf("answer %d: %s", a.code, a.body)
	}
	event, err := bufio.NewReader(resp.Body).ReadString('\n')
	if err != nil || !strings.Contains(event, `"name":"late"`) {
		t.Errorf("event %q (%v)", event, err)
	}
}

// TestTimeoutEndsWork: a request whose time is over is not worked on.
func TestTimeoutEndsWork(t *testing.T) {
	c := newCluster(t)
	ctx, cancel := context.WithCancel(authenticate.WithPeer(t.Context(), nil))
	cancel()
	w := httptest.NewRecorder()
	r := post(t, c.admin, configMaps, strings.NewReader(`{"metadata":{"name":"m"}}`)).WithContext(ctx)
	c.gateway.ServeHTTP(w, r)
	if w.Code != http.StatusGatewayTimeout {
		t.Errorf("answer %d: %s", w.Code, w.Body)
	}
}
