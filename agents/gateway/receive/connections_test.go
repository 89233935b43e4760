package receive_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"gantry/agents/gateway/gatewaytest"
)

// dialTLS connects as the admin with one protocol.
func dialTLS(t *testing.T, c *gatewaytest.Cluster, protocol string) *tls.Conn {
	t.Helper()
	conn, err := tls.Dial("tcp", strings.TrimPrefix(c.URL, "https://"), &tls.Config{
		RootCAs: c.CA.Pool(), Certificates: []tls.Certificate{c.Admin.Certificate}, NextProtos: []string{protocol},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// serveOthers asks as another client while abuse goes on, which must be answered each time, and logs how long that took and what the process grew by.
func serveOthers(t *testing.T, c *gatewaytest.Cluster, abuse func()) {
	t.Helper()
	other := c.Client(c.Admin.Certificate)
	ask := func() time.Duration {
		start := time.Now()
		if a := c.Do(other, "GET", "/api/v1/namespaces/default", ""); a.Code != 200 {
			t.Errorf("another client is answered %d %s", a.Code, a.Body)
		}
		return time.Since(start)
	}
	p99 := func(times []time.Duration) time.Duration {
		slices.Sort(times)
		return times[len(times)*99/100]
	}
	var quiet, busy []time.Duration
	for range 200 {
		quiet = append(quiet, ask())
	}
	before := runtime.NumGoroutine()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		abuse()
	}()
	for most := 0; ; {
		if busy = append(busy, ask()); len(busy) >= 2000 {
			<-ended
		}
		most = max(most, runtime.NumGoroutine()-before)
		select {
		case <-ended:
			t.Logf("%d requests of others: p99 %v, %v without; at most %d more goroutines", len(busy), p99(busy), p99(quiet), most)
			return
		default:
		}
	}
}

// awaitEnd reads until the server ends a connection.
func awaitEnd(conn net.Conn) error {
	_, err := io.Copy(io.Discard, conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return nil
}

// TestConnectionsThatSendNothing opens connections without a handshake, and some whose headers come a byte at a time: others are served, and the
// server ends them.
func TestConnectionsThatSendNothing(t *testing.T) {
	c := gatewaytest.New(t)
	var conns []net.Conn
	for range 300 {
		raw, err := net.Dial("tcp", strings.TrimPrefix(c.URL, "https://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = raw.Close() })
		if err := raw.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, raw)
	}
	for range 50 {
		conn := dialTLS(t, c, "http/1.1")
		if _, err := io.WriteString(conn, "GET /api HTTP/1.1\r\nHost: x\r\nX-"); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	serveOthers(t, c, func() {
		for i, conn := range conns {
			if err := awaitEnd(conn); err != nil {
				t.Errorf("connection %d is not ended: %v", i, err)
			}
		}
	})
}

// framesOf starts an HTTP/2 connection; what the server sends is passed to got until the connection ends, which closes ended.
func framesOf(t *testing.T, c *gatewaytest.Cluster, got func(http2.Frame)) (f *http2.Framer, ended <-chan struct{}) {
	t.Helper()
	conn := dialTLS(t, c, "h2")
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	f = http2.NewFramer(conn, conn)
	if err := f.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			if got != nil {
				got(frame)
			}
		}
	}()
	return f, done
}

// headersOf is the block of a request's headers.
func headersOf(method, path string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for _, h := range [][2]string{{":method", method}, {":scheme", "https"}, {":path", path}, {":authority", "x"}} {
		if err := e.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

// TestRapidReset begins requests and takes them back at once (CVE-2023-44487).
func TestRapidReset(t *testing.T) {
	c := gatewaytest.New(t)
	f, ended := framesOf(t, c, nil)
	serveOthers(t, c, func() {
		for i := range uint32(20_000) {
			id := 2*i + 1
			if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: headersOf("GET", "/api/v1/pods"), EndHeaders: true, EndStream: true}); err != nil {
				break // the server has ended the connection
			}
			if err := f.WriteRSTStream(id, http2.ErrCodeCancel); err != nil {
				break
			}
		}
	})
	select {
	case <-ended:
		t.Log("the server ended the connection")
	default:
		t.Log("the server kept the connection")
	}
}

// TestEndlessHeaders sends headers that never end, as CONTINUATION frames (CVE-2023-45288): the connection is ended.
func TestEndlessHeaders(t *testing.T) {
	c := gatewaytest.New(t)
	f, ended := framesOf(t, c, nil)
	sent := 0
	serveOthers(t, c, func() {
		if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headersOf("GET", "/api")}); err != nil {
			return
		}
		var b bytes.Buffer
		e := hpack.NewEncoder(&b)
		e.SetMaxDynamicTableSize(0)
		for b.Len() < 15<<10 {
			if err := e.WriteField(hpack.HeaderField{Name: "x-fill", Value: strings.Repeat("~", 1000), Sensitive: true}); err != nil {
				t.Error(err)
			}
		}
		for sent < 256<<20 {
			if err := f.WriteContinuation(1, false, b.Bytes()); err != nil {
				break
			}
			sent += b.Len()
		}
		<-ended
	})
	if sent >= 256<<20 {
		t.Errorf("the server took %d MB of headers", sent>>20)
	}
	t.Logf("the connection ended after %d KB", sent>>10)
}

// TestManyStreams begins more requests on one connection than it may have, whose bodies never come: those above are refused or answered at once, and
// others are served.
func TestManyStreams(t *testing.T) {
	c := gatewaytest.New(t)
	over := make(chan struct{}, 10_000)
	f, ended := framesOf(t, c, func(frame http2.Frame) {
		switch frame.(type) {
		case *http2.RSTStreamFrame, *http2.HeadersFrame:
			over <- struct{}{}
		}
	})
	serveOthers(t, c, func() {
		for i := range uint32(1000) {
			if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: headersOf("POST", "/api/v1/namespaces/default/configmaps"), EndHeaders: true}); err != nil {
				return
			}
		}
		for range 1000 - 250 {
			select {
			case <-over:
			case <-ended: // as good
				return
			}
		}
	})
}

// TestSlowReaders lists much and does not read it.
func TestSlowReaders(t *testing.T) {
	c := gatewaytest.New(t)
	big := strings.Repeat("x", 900<<10)
	for i := range 20 {
		body := fmt.Sprintf(`{"metadata":{"name":"big-%d"},"data":{"a":%q}}`, i, big)
		if a := c.As(http.MethodPost, "/api/v1/namespaces/default/configmaps", body); a.Code != 201 {
			t.Fatalf("%d %s", a.Code, a.Body)
		}
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 40 {
		path := "/api/v1/configmaps"
		if i%2 == 1 {
			path = "/registry/configmaps/"
		}
		conn := dialTLS(t, c, "http/1.1")
		if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, 1<<10)); err != nil { // the answer has begun
			t.Fatal(err)
		}
	}
	serveOthers(t, c, func() {
		runtime.GC()
		runtime.ReadMemStats(&after)
	})
	const most = 200 << 20 // less than a copy of the list for each would take: 720 MB
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > most {
		t.Errorf("40 readers of 18 MB hold %d MB", grown>>20)
	} else {
		t.Logf("40 readers of 18 MB hold %d MB", grown>>20)
	}
}
