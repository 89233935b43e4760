package server

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
)

// untilClientGoes returns the two of a request whose ctx and connection end together, even after the connection has been taken
// over for a session: net/http does not read it any more then. cancel ends both.
func untilClientGoes(w http.ResponseWriter, r *http.Request) (_ http.ResponseWriter, _ *http.Request, cancel context.CancelFunc) {
	ctx, cancel := context.WithCancel(r.Context())
	return watchedWriter{w, ctx, cancel}, r.WithContext(ctx), cancel
}

// watchedWriter gives up its connection as one that reports its end.
type watchedWriter struct {
	http.ResponseWriter
	ctx  context.Context
	gone func()
}

// Hijack is http.Hijacker.
func (w watchedWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	early, err := rw.Reader.Peek(rw.Reader.Buffered()) // what has been read of the session already
	if err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	context.AfterFunc(w.ctx, func() { _ = conn.Close() })
	watched := watchedConn{conn, w.gone}
	in := io.MultiReader(bytes.NewReader(bytes.Clone(early)), watched)
	return watched, bufio.NewReadWriter(bufio.NewReader(in), bufio.NewWriter(watched)), nil
}

// watchedConn calls gone when its end has been read, or it is closed. Sessions read all the time.
type watchedConn struct {
	net.Conn
	gone func()
}

func (c watchedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.gone()
	}
	return n, err
}

func (c watchedConn) Close() error {
	c.gone()
	return c.Conn.Close()
}
