package gateway_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gantry/agents/gateway"
	"gantry/agents/gateway/authenticate"
	"gantry/agents/gateway/gatewaytest"
)

// TestWatchOutlivesTimeouts checks that the timeouts of requests and bodies do not end a watch, in HTTP/1 and in HTTP/2.
func TestWatchOutlivesTimeouts(t *testing.T) {
	c := gatewaytest.New(t, func(cfg *gateway.Config) { cfg.RequestTimeout = 100 * time.Millisecond })
	conn := c.Dial(true)
	_, err := io.WriteString(conn, "GET "+mapsPath+"?watch=1&resourceVersion=0 HTTP/1.1\r\nHost: gateway\r\nContent-Length: 2\r\n\r\n{}")
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
		late := c.Dial(true)
		if _, err := io.WriteString(late, "POST "+mapsPath+" HTTP/1.1\r\nHost: gateway\r\nContent-Length: 1000\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(late); err != nil {
			t.Fatal(err)
		}
	}
	if a := c.As("POST", mapsPath, `{"metadata":{"name":"late"}}`); a.Code != http.StatusCreated {
		t.Fatalf("answer %d: %s", a.Code, a.Body)
	}
	event, err := bufio.NewReader(resp.Body).ReadString('\n')
	if err != nil || !strings.Contains(event, `"name":"late"`) {
		t.Errorf("event %q (%v)", event, err)
	}
}

// TestTimeoutEndsWork checks that a request whose deadline has passed is answered with a timeout.
func TestTimeoutEndsWork(t *testing.T) {
	c := gatewaytest.New(t)
	ctx, cancel := context.WithCancel(authenticate.WithPeer(t.Context(), nil))
	cancel()
	w := httptest.NewRecorder()
	r := gatewaytest.Request(t, c.Admin, "POST", mapsPath, strings.NewReader(`{"metadata":{"name":"m"}}`)).WithContext(ctx)
	c.Handler.ServeHTTP(w, r)
	if w.Code != http.StatusGatewayTimeout {
		t.Errorf("answer %d: %s", w.Code, w.Body)
	}
}
