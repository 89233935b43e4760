package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"syscall"

	"gantry/agents/dns/forward"
	"gantry/agents/dns/records"
	"gantry/registry/safely"
)

const (
	// maxSlow bounds the queries that wait for other servers at the same time.
	maxSlow = 1000
	// maxStreams bounds the TCP connections.
	maxStreams = 1000
	// idle is how long a TCP connection may be silent; RFC 7766 section 6.2.3 asks for some seconds.
	idle = 10 * time.Second
	// udpBuffer is the size of a UDP socket's buffers, in bytes, so that a burst is not dropped.
	udpBuffer = 1 << 20
)

type agent struct {
	cfg     Config
	zone    *records.Zone
	tracker *tracker
	forward *forward.Forwarder
	metrics *metrics
	fault   atomic.Pointer[error] // why nothing is served; to nil: it is
}

func (a *agent) newResolver() *resolver {
	return newResolver(a.zone, a.tracker.synced.Load, a.forward)
}

// serve answers on the cluster DNS address until ctx is done or an error.
func (a *agent) serve(ctx context.Context) error {
	if err := ensureLink(a.cfg.Address); err != nil {
		return err
	}
	return a.serveOn(ctx, a.address())
}

// serveOn answers on an address: one UDP socket and reader for each CPU, among which the kernel shares out clients, and TCP.
func (a *agent) serveOn(ctx context.Context, address string) error {
	reuse := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		fault := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, udpBuffer)
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, udpBuffer)
		})
		return errors.Join(fault, err)
	}}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("serving names: %w", err)
	}
	defer l.Close()
	outer := ctx
	g, ctx := safely.WithContext(ctx)
	slow := make(chan struct{}, maxSlow)
	for range runtime.GOMAXPROCS(0) {
		c, err := reuse.ListenPacket(ctx, "udp", l.Addr().String())
		if err != nil {
			g.Go(func() error { return fmt.Errorf("serving names: %w", err) })
			return unlessDone(outer, g.Wait())
		}
		conn := c.(*net.UDPConn)
		context.AfterFunc(ctx, func() { _ = conn.Close() })
		r := &udpReader{agent: a, conn: conn, resolver: a.newResolver(), counts: a.metrics.newCounts(), slow: slow, background: g}
		g.Go(func() error { return r.run(ctx) })
	}
	context.AfterFunc(ctx, func() { _ = l.Close() })
	g.Go(func() error { return a.serveStreams(ctx, l, g) })
	a.setFault(nil)
	a.cfg.Log.Info("names served", "agent", "dns", "address", l.Addr().String(), "domain", a.cfg.Domain)
	return unlessDone(outer, g.Wait())
}

// udpReader reads and answers the queries of one socket.
type udpReader struct {
	*agent
	conn       *net.UDPConn
	resolver   *resolver
	counts     *counts
	slow       chan struct{}
	background *safely.Group
}

func (r *udpReader) run(ctx context.Context) error {
	buf := make([]byte, 4096) // longer queries are not sent by any resolver
	for {
		n, from, err := r.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			return fmt.Errorf("reading queries: %w", err)
		}
		r.handle(ctx, buf[:n], from)
	}
}

// handle answers one query; a panic of it ends only that.
func (r *udpReader) handle(ctx context.Context, msg []byte, from netip.AddrPort) {
	defer func() {
		if p := recover(); p != nil {
			r.metrics.panics.Inc()
			r.cfg.Log.Error("panic recovered", "agent", "dns", "reason", "answering", "err", fmt.Sprint(p))
		}
	}()
	began := time.Now()
	reply, slow := r.resolver.answer(msg, false)
	if slow {
		r.handleSlow(ctx, append([]byte(nil), msg...), from, began)
		return
	}
	if reply != nil {
		r.counts.count(r.resolver, overUDP, len(msg), len(reply), began)
		_, _ = r.conn.WriteToUDPAddrPort(reply, from) // the client asks again
	}
}

// handleSlow answers a query that takes other servers, on a goroutine of its own; it is refused where too many wait.
func (r *udpReader) handleSlow(ctx context.Context, msg []byte, from netip.AddrPort, began time.Time) {
	select {
	case r.slow <- struct{}{}:
	default:
		r.metrics.rejected.Inc()
		_, _ = r.conn.WriteToUDPAddrPort(r.resolver.refuse(), from)
		return
	}
	r.background.Go(func() error {
		defer func() { <-r.slow }()
		err := safely.Call(func() error {
			resolver := r.newResolver()
			reply, slow := resolver.answer(msg, false)
			if slow {
				reply = resolver.answerSlow(ctx, 0)
			}
			r.metrics.slow.count(resolver, overUDP, len(msg), len(reply), began)
			_, _ = r.conn.WriteToUDPAddrPort(reply, from)
			return nil
		})
		if err != nil {
			r.metrics.panics.Inc()
			r.cfg.Log.Error("panic recovered", "agent", "dns", "reason", "forwarding", "err", err)
		}
		return nil
	})
}

func (a *agent) serveStreams(ctx context.Context, l net.Listener, background *safely.Group) error {
	open := make(chan struct{}, maxStreams)
	for {
		c, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ECONNABORTED):
			pause(ctx, firstRetry)
			continue
		case err != nil:
			return fmt.Errorf("accepting connections: %w", err)
		}
		select {
		case open <- struct{}{}:
		default:
			_ = c.Close()
			continue
		}
		background.Go(func() error {
			defer func() { <-open }()
			stop := context.AfterFunc(ctx, func() { _ = c.Close() })
			defer stop()
			defer c.Close()
			if err := safely.Call(func() error { return a.serveStream(ctx, c) }); err != nil {
				a.metrics.panics.Inc()
				a.cfg.Log.Error("panic recovered", "agent", "dns", "reason", "answering by TCP", "err", err)
			}
			return nil
		})
	}
}

// serveStream answers the queries of a connection one after the other, each behind its length (RFC 1035 section 4.2.2).
func (a *agent) serveStream(ctx context.Context, c net.Conn) error {
	r := a.newResolver()
	var size [2]byte
	var out []byte
	for {
		_ = c.SetDeadline(time.Now().Add(idle))
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return nil // the client has ended
		}
		msg := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, msg); err != nil {
			return nil
		}
		began := time.Now()
		reply, slow := r.answer(msg, true)
		if slow {
			reply = r.answerSlow(ctx, 0)
		}
		if reply == nil {
			return nil
		}
		a.metrics.slow.count(r, overTCP, len(msg), len(reply), began)
		out = append(binary.BigEndian.AppendUint16(out[:0], uint16(len(reply))), reply...)
		if _, err := c.Write(out); err != nil {
			return nil
		}
	}
}
