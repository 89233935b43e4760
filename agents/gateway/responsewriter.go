package gateway

import (
	"bufio"
	"net"
	"net/http"
	"time"

	"gantry/agents/gateway/eventstream"
)

// responseWriter notes what was answered, for metrics.
type responseWriter struct {
	http.ResponseWriter
	start time.Time
	code  int
	size  int64
	wrote bool
	// boundsWrites lets each write take eventstream.WriteTimeout at most: for an answer without an end in HTTP/1. In HTTP/2 the connection does.
	boundsWrites bool
}

// Unwrap lets http.ResponseController reach what this one wraps.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader notes the code.
func (w *responseWriter) WriteHeader(code int) {
	if !w.wrote {
		w.code, w.wrote = code, code >= 200 || code == http.StatusSwitchingProtocols
	}
	w.ResponseWriter.WriteHeader(code)
}

// Write notes the size.
func (w *responseWriter) Write(b []byte) (int, error) {
	if !w.wrote {
		w.code, w.wrote = http.StatusOK, true
	}
	if w.boundsWrites {
		_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(eventstream.WriteTimeout))
	}
	n, err := w.ResponseWriter.Write(b)
	w.size += int64(n)
	return n, err
}

// Hijack hands the connection over, as websocket.Server asks for it.
func (w *responseWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buf, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.code, w.wrote = http.StatusSwitchingProtocols, true
	}
	return conn, buf, err
}
