package receive_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"gantry/agents/gateway"
	"gantry/agents/gateway/gatewaytest"
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

const configMaps = "/api/v1/namespaces/default/configmaps"

// TestUnsentBodiesAreNotInFlight checks that requests whose bodies are not sent block neither the requests of another user nor those of
// their own user.
func TestUnsentBodiesAreNotInFlight(t *testing.T) {
	const places = 8
	c := gatewaytest.New(t, func(cfg *gateway.Config) { cfg.MaxWrites = places })
	asked, end := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	for range places {
		wg.Go(func() {
			w := httptest.NewRecorder()
			c.Handler.ServeHTTP(w, gatewaytest.Request(t, c.Admin, "POST", configMaps, silent{asked, end}))
			if w.Code != http.StatusBadRequest {
				t.Errorf("a body that broke off is answered %d: %s", w.Code, w.Body)
			}
		})
	}
	for range places {
		<-asked
	}
	other := c.Pair("other", pki.Request{CommonName: "other", Organizations: []string{"system:masters"}})
	for i, p := range []pki.Pair{other, c.Admin} {
		w := httptest.NewRecorder()
		body := strings.NewReader(fmt.Sprintf(`{"metadata":{"name":"m%d"}}`, i))
		c.Handler.ServeHTTP(w, gatewaytest.Request(t, p, "POST", configMaps, body))
		// The user whose bodies do not come may not have more on their way.
		if want := []int{http.StatusCreated, http.StatusTooManyRequests}[i]; w.Code != want {
			t.Errorf("answer %d, want %d: %s", w.Code, want, w.Body)
		}
	}
	w := httptest.NewRecorder()
	r := gatewaytest.Request(t, c.Admin, "POST", configMaps+"/m0", http.NoBody)
	r.Method = "DELETE"
	c.Handler.ServeHTTP(w, r) // needs no body, and a place is free
	if w.Code != http.StatusOK {
		t.Errorf("answer %d: %s", w.Code, w.Body)
	}
	close(end)
	wg.Wait()
	w = httptest.NewRecorder()
	c.Handler.ServeHTTP(w, gatewaytest.Request(t, c.Admin, "POST", configMaps, strings.NewReader(`{"metadata":{"name":"m2"}}`)))
	if w.Code != http.StatusCreated {
		t.Errorf("bodies that broke off count still: answer %d: %s", w.Code, w.Body)
	}
}

// TestUnsentBodiesEnd checks that a connection on which an announced body is not sent is closed, for authenticated and other clients.
func TestUnsentBodiesEnd(t *testing.T) {
	const short = 300 * time.Millisecond
	c := gatewaytest.New(t, func(cfg *gateway.Config) { cfg.RequestTimeout = short })
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
			conn := c.Dial(tt.known)
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

// TestUnsentBodyOfAStreamIsAnswered checks that in HTTP/2 the stream of a body that is not sent is answered and ends, while other streams
// go on.
func TestUnsentBodyOfAStreamIsAnswered(t *testing.T) {
	c := gatewaytest.New(t, func(cfg *gateway.Config) { cfg.RequestTimeout = 300 * time.Millisecond })
	client := c.Client(c.Admin.Certificate)
	body, promise := io.Pipe()
	defer promise.Close()
	r, err := http.NewRequestWithContext(t.Context(), "POST", c.URL+configMaps, body)
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
	if a := c.Do(client, "POST", configMaps, `{"metadata":{"name":"m"}}`); a.Code != http.StatusCreated {
		t.Errorf("answer %d: %s", a.Code, a.Body)
	}
}
