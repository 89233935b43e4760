package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"

	"gantry/registry"
)

// portForward connects clients with ports on a pod's loopback.
func (s *server) portForward(w http.ResponseWriter, r *http.Request) {
	namespace, pod, uid := r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("uid")
	if _, err := s.cfg.Pods.SandboxPID(namespace, pod, uid); err != nil {
		s.fail(w, r, err)
		return
	}
	o, err := portforward.NewV4Options(r)
	if err != nil {
		s.fail(w, r, &registry.Error{Kind: registry.BadRequest, Reason: err.Error()})
		return
	}
	// The sandbox is looked up for every connection: it may be replaced while the client forwards.
	w, r, cancel := untilClientGoes(w, r)
	defer cancel()
	f := forwarder{r.Context(), func() (int, error) { return s.cfg.Pods.SandboxPID(namespace, pod, uid) }}
	portforward.ServePortForward(w, r, f, namespace+"/"+pod, uid, o, idleTimeout, remotecommand.DefaultStreamCreationTimeout, portforward.SupportedProtocols)
}

// forwarder finds the process of the sandbox to dial in. client ends with the client, of which a session's own ctx knows nothing.
type forwarder struct {
	client context.Context
	pid    func() (int, error)
}

// dialTimeout bounds a connection to a pod's port.
const dialTimeout = 10 * time.Second

// PortForward makes forwarder a portforward.PortForwarder: it copies until both sides have ended, or the
// client has gone.
func (f forwarder) PortForward(_ context.Context, pod, _ string, port int32, stream io.ReadWriteCloser) error {
	ctx := f.client
	defer stream.Close()
	pid, err := f.pid()
	if err != nil {
		return err
	}
	conn, err := dialIn(ctx, pid, int(port))
	if err != nil {
		return fmt.Errorf("failed to connect to localhost:%d inside namespace of pod %s: %w", port, pod, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(conn, stream)
		if half, ok := conn.(*net.TCPConn); ok {
			_ = half.CloseWrite() // the server may still answer
		}
		sent <- err
	}()
	_, err = io.Copy(stream, conn)
	// What the server has left to say is said. The other copy ends when stream and conn are closed, which is now.
	_ = stream.Close()
	_ = conn.Close()
	if werr := <-sent; err == nil && werr != nil && !errors.Is(werr, net.ErrClosed) && !errors.Is(werr, io.ErrClosedPipe) && !errors.Is(werr, unix.EPIPE) {
		err = werr
	}
	return err
}

// dialIn opens a connection to a port of the loopback in the network namespace of process pid. The socket is made there; after that
// it does not matter where it is used.
func dialIn(ctx context.Context, pid, port int) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		runtime.LockOSThread()
		own, err := netns.Get()
		if err != nil {
			runtime.UnlockOSThread()
			done <- result{nil, err}
			return
		}
		defer own.Close()
		conn, err := dialHere(ctx, pid, port)
		// A thread that does not get back stays locked, and so ends with its goroutine.
		if back := netns.Set(own); back == nil {
			runtime.UnlockOSThread()
		}
		done <- result{conn, err}
	}()
	r := <-done
	return r.conn, r.err
}

// dialHere moves the thread to the namespace of pid and dials: IPv4 first, then IPv6, as a name "localhost" would.
func dialHere(ctx context.Context, pid, port int) (net.Conn, error) {
	ns, err := netns.GetFromPid(pid)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	if err := netns.Set(ns); err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err == nil {
		return conn, nil
	}
	if conn, err6 := d.DialContext(ctx, "tcp6", net.JoinHostPort("::1", strconv.Itoa(port))); err6 == nil {
		return conn, nil
	}
	return nil, err
}
