package server

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"

	"gantry/agents/kubelet/engine"
	"gantry/registry"
)

// idleTimeout ends a connection on which nothing has come or gone for so long, as kubelets do.
const idleTimeout = 4 * time.Hour

// session is one exec or attach: its streams, nil where not asked for.
type session struct {
	in       io.Reader
	out, err io.WriteCloser
	tty      bool
	resize   <-chan remotecommand.TerminalSize
}

// run is what a session does. An error with an exit code is an utilexec.ExitError.
type run func(ctx context.Context, s session) error

// exec runs a command in a container.
func (s *server) exec(w http.ResponseWriter, r *http.Request) {
	command := r.URL.Query()["command"]
	if len(command) == 0 {
		s.fail(w, r, &registry.Error{Kind: registry.BadRequest, Reason: "you must specify at least one command for the container"})
		return
	}
	id, ok := s.container(w, r, false)
	if !ok {
		return
	}
	s.serve(w, r, func(ctx context.Context, ses session) error { return s.runExec(ctx, id, command, ses) }, remotecommand.ServeExec)
}

// attach joins the streams of a container's first process.
func (s *server) attach(w http.ResponseWriter, r *http.Request) {
	id, ok := s.container(w, r, false)
	if !ok {
		return
	}
	c, err := s.cfg.Engine.Container(r.Context(), id)
	if err != nil {
		s.fail(w, r, fmt.Errorf("inspecting container %s: %w", id, err))
		return
	}
	s.serve(w, r, func(ctx context.Context, ses session) error {
		return s.cfg.Engine.Attach(ctx, id, ses.streams(c.TTY))
	}, nil)
}

type serveExec = func(w http.ResponseWriter, r *http.Request, e remotecommand.Executor, pod, uid, container string, command []string, o *remotecommand.Options, idle, creation time.Duration, protocols []string)

// serve makes the connection a session and runs it. How the end is worded differs between exec and attach: spdy is nil for attach.
func (s *server) serve(w http.ResponseWriter, r *http.Request, f run, spdy serveExec) {
	o, err := remotecommand.NewOptions(r)
	if err != nil {
		s.fail(w, r, &registry.Error{Kind: registry.BadRequest, Reason: err.Error()})
		return
	}
	f = f.only(o)
	w, r, cancel := untilClientGoes(w, r)
	defer cancel()
	switch {
	case wantsV5(r) && spdy == nil:
		s.serveV5(w, r, o, f, "error attaching to container")
	case wantsV5(r):
		s.serveV5(w, r, o, f, "error executing command in container")
	case spdy != nil:
		spdy(w, r, f, "", "", "", nil, o, idleTimeout, remotecommand.DefaultStreamCreationTimeout, remotecommand.SupportedStreamingProtocols)
	default:
		remotecommand.ServeAttach(w, r, f, "", "", "", o, idleTimeout, remotecommand.DefaultStreamCreationTimeout, remotecommand.SupportedStreamingProtocols)
	}
}

// only leaves f the streams that were asked for: over a WebSocket cri-streaming hands over all of them.
func (f run) only(o *remotecommand.Options) run {
	return func(ctx context.Context, s session) error {
		if !o.Stdin {
			s.in = nil
		}
		if !o.Stdout {
			s.out = nil
		}
		if !o.Stderr {
			s.err = nil
		}
		return f(ctx, s)
	}
}

// ExecInContainer makes run a remotecommand.Executor.
func (f run) ExecInContainer(ctx context.Context, _, _, _ string, _ []string, in io.Reader, out, err io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize, _ time.Duration) error {
	return f(ctx, session{in, out, err, tty, resize})
}

// AttachContainer makes run a remotecommand.Attacher.
func (f run) AttachContainer(ctx context.Context, _, _, _ string, in io.Reader, out, err io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize) error {
	return f(ctx, session{in, out, err, tty, resize})
}

func (s *server) runExec(ctx context.Context, id string, command []string, ses session) error {
	code, err := s.cfg.Engine.Exec(ctx, id, command, ses.streams(ses.tty))
	if err != nil || code == 0 {
		return err
	}
	return utilexec.CodeExitError{Err: fmt.Errorf("command terminated with exit code %d", code), Code: code}
}

// streams are the session's as the engine takes them; tty tells that the engine's output is one raw stream.
func (ses session) streams(tty bool) engine.Streams {
	s := engine.Streams{In: ses.in, TTY: tty}
	if ses.out != nil {
		s.Out = ses.out
	}
	if ses.err != nil {
		s.Err = ses.err
	}
	if ses.resize != nil {
		s.NextSize = func() (engine.TerminalSize, bool) {
			size, ok := <-ses.resize // closed at the end of the client's connection
			return engine.TerminalSize{Width: size.Width, Height: size.Height}, ok
		}
	}
	return s
}
