package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"

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
	c, err := s.cfg.Docker.ContainerInspect(r.Context(), id)
	if err != nil {
		s.fail(w, r, fmt.Errorf("inspecting container %s: %w", id, err))
		return
	}
	tty := c.Config != nil && c.Config.Tty
	s.serve(w, r, func(ctx context.Context, ses session) error { return s.runAttach(ctx, id, tty, ses) }, nil)
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
	case wantsV5(r):
		s.serveV5(w, r, o, f)
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
	made, err := s.cfg.Docker.ContainerExecCreate(ctx, id, container.ExecOptions{
		Cmd: command, Tty: ses.tty, AttachStdin: ses.in != nil, AttachStdout: ses.out != nil, AttachStderr: ses.err != nil,
	})
	if err != nil {
		return err
	}
	conn, err := s.cfg.Docker.ContainerExecAttach(ctx, made.ID, container.ExecAttachOptions{Tty: ses.tty})
	if err != nil {
		return errors.Join(err, EndExec(ctx, s.cfg.Docker, made.ID))
	}
	err = ses.join(ctx, conn, ses.tty, func(size container.ResizeOptions) error {
		return s.cfg.Docker.ContainerExecResize(ctx, made.ID, size)
	})
	code := 0
	if err == nil {
		code, err = s.exitCode(ctx, made.ID)
	}
	if err != nil {
		return errors.Join(err, EndExec(ctx, s.cfg.Docker, made.ID)) // the client went
	}
	if code == 0 {
		return nil
	}
	return utilexec.CodeExitError{Err: fmt.Errorf("command terminated with exit code %d", code), Code: code}
}

// How long the engine may take to note an exit code after the last of the output.
const (
	exitPoll  = 10 * time.Millisecond
	exitTries = 500
)

func (s *server) exitCode(ctx context.Context, execID string) (int, error) {
	for range exitTries {
		e, err := s.cfg.Docker.ContainerExecInspect(ctx, execID)
		if err != nil {
			return 0, err
		}
		if !e.Running {
			return e.ExitCode, nil
		}
		if err := pause(ctx, exitPoll); err != nil {
			return 0, err
		}
	}
	// The output is closed and the process goes on, in the background for instance.
	return 0, nil
}

func (s *server) runAttach(ctx context.Context, id string, tty bool, ses session) error {
	conn, err := s.cfg.Docker.ContainerAttach(ctx, id, container.AttachOptions{
		Stream: true, Stdin: ses.in != nil, Stdout: ses.out != nil, Stderr: ses.err != nil || (tty && ses.out != nil),
	})
	if err != nil {
		return err
	}
	return ses.join(ctx, conn, tty, func(size container.ResizeOptions) error {
		return s.cfg.Docker.ContainerResize(ctx, id, size)
	})
}

// join copies between a session and the engine's connection until the output ends, or the client goes. tty tells that the engine's
// output is one raw stream.
func (ses session) join(ctx context.Context, conn types.HijackedResponse, tty bool, resize func(container.ResizeOptions) error) error {
	defer conn.Close()
	defer context.AfterFunc(ctx, conn.Close)() // a hijacked connection knows no context
	if ses.resize != nil {
		go func() { // ends with the client's connection, which closes the channel
			for size := range ses.resize {
				if size.Height > 0 && size.Width > 0 {
					_ = resize(container.ResizeOptions{Height: uint(size.Height), Width: uint(size.Width)}) // the process may be gone
				}
			}
		}()
	}
	if ses.in != nil {
		go func() { // ends with the client's connection
			_, err := io.Copy(conn.Conn, ses.in)
			if err == nil || errors.Is(err, io.EOF) {
				_ = conn.CloseWrite()
			}
		}()
	}
	out, errOut := writerOr(ses.out), writerOr(ses.err)
	var err error
	if tty {
		_, err = io.Copy(out, conn.Reader)
	} else {
		_, err = stdcopy.StdCopy(out, errOut, conn.Reader)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// writerOr is w, or a place for what nobody asked for.
func writerOr(w io.WriteCloser) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}
