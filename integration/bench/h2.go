package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// request is what is sent; keep: the answer's body is kept.
type request struct {
	method, path string
	contentType  string
	accept       string
	gzip         bool
	body         []byte
	keep         bool
	// each, where set, gets the pieces of the answer's body as they come: a stream. It runs on the connection's
	// reader.
	each func(piece []byte)
}

type response struct {
	status int
	size   int
	body   []byte
}

// h2 is a light HTTP/2 client: one connection, one reading goroutine, no goroutine a request. Its settings are those of Go's
// own client, so that the server's side costs what it costs with client-go.
type h2 struct {
	conn   *tls.Conn
	host   string
	framer *http2.Framer
	delay  time.Duration // before every frame read: a slow reader

	mu      sync.Mutex // guards what follows
	w       *bufio.Writer
	enc     *hpack.Encoder
	block   bytes.Buffer
	next    uint32
	streams map[uint32]*exchange
	err     error
}

type exchange struct {
	res    response
	req    *request
	unread int // bytes whose window was not given back
	done   chan error
}

// The windows of Go's client.
const (
	streamWindow = 4 << 20
	connWindow   = 1 << 30
)

func dial(addr string, conf *tls.Config) (*h2, error) { return dialSlow(addr, conf, streamWindow, 0) }

// dialSlow connects with a window a stream, and waits before every frame it reads.
func dialSlow(addr string, conf *tls.Config, window uint32, delay time.Duration) (*h2, error) {
	conf = conf.Clone()
	conf.NextProtos = []string{"h2"}
	conn, err := tls.Dial("tcp", addr, conf)
	if err != nil {
		return nil, err
	}
	c := &h2{conn: conn, host: addr, delay: delay, next: 1, streams: map[uint32]*exchange{}, w: bufio.NewWriterSize(conn, 64<<10)}
	c.enc = hpack.NewEncoder(&c.block)
	c.framer = http2.NewFramer(c.w, bufio.NewReaderSize(conn, 64<<10))
	c.framer.SetReuseFrames()
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_, _ = c.w.WriteString(http2.ClientPreface)
	_ = c.framer.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 0}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: window})
	_ = c.framer.WriteWindowUpdate(0, connWindow)
	if err := c.w.Flush(); err != nil {
		return nil, err
	}
	go c.read() // ends with the connection
	return c, nil
}

func dialAll(addr string, conf *tls.Config, n int) (all []*h2, err error) {
	for range n {
		c, err := dial(addr, conf)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func (c *h2) close() { c.conn.Close() }

// start sends a request; wait gets its answer.
func (c *h2) start(r *request) (*exchange, error) {
	x := &exchange{req: r, done: make(chan error, 1)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return nil, c.err
	}
	id := c.next
	c.next += 2
	c.streams[id] = x
	c.block.Reset()
	field := func(name, value string) { _ = c.enc.WriteField(hpack.HeaderField{Name: name, Value: value}) }
	field(":authority", c.host)
	field(":method", r.method)
	field(":path", r.path)
	field(":scheme", "https")
	field("user-agent", "gantry-bench")
	if r.accept != "" {
		field("accept", r.accept)
	} else {
		field("accept", "application/json, */*")
	}
	if r.gzip {
		field("accept-encoding", "gzip")
	}
	if r.contentType != "" {
		field("content-type", r.contentType)
		field("content-length", strconv.Itoa(len(r.body)))
	}
	_ = c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.block.Bytes(), EndHeaders: true, EndStream: r.body == nil})
	for body := r.body; len(body) > 0; {
		n := min(len(body), 16<<10)
		_ = c.framer.WriteData(id, n == len(body), body[:n])
		body = body[n:]
	}
	return x, c.w.Flush()
}

func (c *h2) do(r *request) (response, error) {
	x, err := c.start(r)
	if err != nil {
		return response{}, err
	}
	err = <-x.done
	return x.res, err
}

// want is do with an answer of that status.
func (c *h2) want(status int, r *request) (response, error) {
	res, err := c.do(r)
	if err == nil && res.status != status {
		err = fmt.Errorf("%s %s: status %d, want %d: %.300s", r.method, r.path, res.status, status, res.body)
	}
	return res, err
}

func (c *h2) read() {
	err := c.frames()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = errors.Join(errors.New("the connection has ended"), err)
	for id, x := range c.streams {
		delete(c.streams, id)
		x.done <- c.err
	}
}

func (c *h2) frames() error {
	for {
		if c.delay > 0 {
			time.Sleep(c.delay)
		}
		f, err := c.framer.ReadFrame()
		if err != nil {
			return err
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			if x := c.stream(f.StreamID); x != nil {
				x.res.status, _ = strconv.Atoi(f.PseudoValue("status"))
				c.ended(f.StreamID, x, f.StreamEnded())
			}
		case *http2.DataFrame:
			c.data(f)
		case *http2.SettingsFrame:
			if !f.IsAck() {
				c.control(func() { _ = c.framer.WriteSettingsAck() })
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				c.control(func() { _ = c.framer.WritePing(true, f.Data) })
			}
		case *http2.RSTStreamFrame:
			if x := c.stream(f.StreamID); x != nil {
				c.mu.Lock()
				delete(c.streams, f.StreamID)
				c.mu.Unlock()
				x.done <- fmt.Errorf("the stream was reset: %s", f.ErrCode)
			}
		case *http2.GoAwayFrame:
			return fmt.Errorf("the server sent GOAWAY: %s %s", f.ErrCode, f.DebugData())
		}
	}
}

func (c *h2) stream(id uint32) *exchange {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.streams[id]
}

func (c *h2) control(write func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	write()
	_ = c.w.Flush()
}

func (c *h2) data(f *http2.DataFrame) {
	x := c.stream(f.StreamID)
	if x == nil {
		return
	}
	piece := f.Data()
	x.res.size += len(piece)
	switch {
	case x.req.each != nil:
		x.req.each(piece)
	case x.req.keep || x.res.status >= 300:
		x.res.body = append(x.res.body, piece...)
	}
	if x.unread += len(piece); x.unread >= streamWindow/4 && !f.StreamEnded() {
		n := uint32(x.unread)
		x.unread = 0
		c.control(func() {
			_ = c.framer.WriteWindowUpdate(0, n)
			_ = c.framer.WriteWindowUpdate(f.StreamID, n)
		})
	}
	c.ended(f.StreamID, x, f.StreamEnded())
}

func (c *h2) ended(id uint32, x *exchange, ended bool) {
	if !ended {
		return
	}
	c.mu.Lock()
	delete(c.streams, id)
	n := uint32(x.unread)
	if n > 0 {
		_ = c.framer.WriteWindowUpdate(0, n) // goes out with the next request
	}
	c.mu.Unlock()
	x.done <- nil
}

// h1 is a light HTTP/1.1 client on one connection, for the floors.
type h1 struct {
	conn *tls.Conn
	r    *bufio.Reader
	host string
	buf  []byte
}

func dialH1(addr string, conf *tls.Config) (*h1, error) {
	conf = conf.Clone()
	conf.NextProtos = []string{"http/1.1"}
	conn, err := tls.Dial("tcp", addr, conf)
	if err != nil {
		return nil, err
	}
	return &h1{conn: conn, r: bufio.NewReaderSize(conn, 64<<10), host: addr}, nil
}

// do sends a request whose answer has a Content-Length.
func (c *h1) do(r *request) (response, error) {
	b := append(c.buf[:0], r.method+" "+r.path+" HTTP/1.1\r\nHost: "+c.host+"\r\nUser-Agent: gantry-bench\r\nAccept: application/json\r\n"...)
	if r.gzip {
		b = append(b, "Accept-Encoding: gzip\r\n"...)
	}
	if r.contentType != "" {
		b = append(b, "Content-Type: "+r.contentType+"\r\nContent-Length: "+strconv.Itoa(len(r.body))+"\r\n"...)
	}
	b = append(append(b, "\r\n"...), r.body...)
	c.buf = b
	if _, err := c.conn.Write(b); err != nil {
		return response{}, err
	}
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return response{}, err
	}
	var res response
	res.status, _ = strconv.Atoi(string(line[9:12]))
	length := -1
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return res, err
		}
		if len(line) <= 2 {
			break
		}
		if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length, _ = strconv.Atoi(string(bytes.TrimSpace(v)))
		}
	}
	if length < 0 {
		return res, errors.New("an answer without Content-Length")
	}
	res.size = length
	_, err = io.CopyN(io.Discard, c.r, int64(length))
	return res, err
}
