package engine

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"
)

// Exec is Engine's.
func (d *Docker) Exec(ctx context.Context, id string, command []string, s Streams) (exitCode int, err error) {
	made, err := d.api.ContainerExecCreate(ctx, id, container.ExecOptions{
		Cmd: command, Tty: s.TTY, AttachStdin: s.In != nil, AttachStdout: s.Out != nil, AttachStderr: s.Err != nil,
	})
	if err != nil {
		return 0, classify(err)
	}
	conn, err := d.api.ContainerExecAttach(ctx, made.ID, container.ExecAttachOptions{Tty: s.TTY})
	if err != nil {
		return 0, errors.Join(classify(err), killExec(ctx, d.api, made.ID))
	}
	err = s.copy(ctx, conn, func(size container.ResizeOptions) error { return d.api.ContainerExecResize(ctx, made.ID, size) })
	if err == nil {
		exitCode, err = d.exitCode(ctx, made.ID)
	}
	if err != nil {
		return 0, errors.Join(classify(err), killExec(ctx, d.api, made.ID)) // the caller does not wait for it any more
	}
	return exitCode, nil
}

// How long the engine may take to note an exit code after the last of the output.
const (
	exitPoll  = 10 * time.Millisecond
	exitTries = 500
)

func (d *Docker) exitCode(ctx context.Context, execID string) (int, error) {
	for range exitTries {
		e, err := d.api.ContainerExecInspect(ctx, execID)
		if err != nil {
			return 0, err
		}
		if !e.Running {
			return e.ExitCode, nil
		}
		if err := wait(ctx, exitPoll); err != nil {
			return 0, err
		}
	}
	// The output is closed and the process goes on, in the background for instance.
	return 0, nil
}

// Attach is Engine's.
func (d *Docker) Attach(ctx context.Context, id string, s Streams) error {
	conn, err := d.api.ContainerAttach(ctx, id, container.AttachOptions{
		Stream: true, Stdin: s.In != nil, Stdout: s.Out != nil, Stderr: s.Err != nil || (s.TTY && s.Out != nil),
	})
	if err != nil {
		return classify(err)
	}
	c, err := d.api.ContainerInspect(ctx, id)
	if err != nil {
		conn.Close()
		return classify(err)
	}
	if !c.State.Running {
		conn.Reader = bufio.NewReader(&endedOutput{conn: conn, id: id})
	}
	return classify(s.copy(ctx, conn, func(size container.ResizeOptions) error { return d.api.ContainerResize(ctx, id, size) }))
}

// endedOutput is the output of a container that has ended. The engine ends the output where the container was attached to before its end, and
// otherwise neither sends anything nor ends it.
type endedOutput struct {
	conn types.HijackedResponse
	id   string
	any  bool // output was read
}

// endedOutputWait is how long the engine may take to send what there is.
const endedOutputWait = time.Second

func (e *endedOutput) Read(b []byte) (int, error) {
	if err := e.conn.Conn.SetReadDeadline(time.Now().Add(endedOutputWait)); err != nil {
		return 0, err
	}
	n, err := e.conn.Reader.Read(b)
	e.any = e.any || n > 0
	if errors.Is(err, os.ErrDeadlineExceeded) {
		if e.any {
			return n, io.EOF
		}
		return n, notRunning(e.id)
	}
	return n, err
}

// copy copies between s and the engine's connection until the output ends, or ctx does.
func (s Streams) copy(ctx context.Context, conn types.HijackedResponse, resize func(container.ResizeOptions) error) error {
	defer conn.Close()
	defer context.AfterFunc(ctx, conn.Close)() // a hijacked connection knows no context
	if s.NextSize != nil {
		go func() { // ends with the client's connection, after which no size comes
			for {
				size, ok := s.NextSize()
				if !ok {
					return
				}
				if size.Height > 0 && size.Width > 0 {
					_ = resize(container.ResizeOptions{Height: uint(size.Height), Width: uint(size.Width)}) // the process may be gone
				}
			}
		}()
	}
	if s.In != nil {
		go func() { // ends with the client's connection
			_, err := io.Copy(conn.Conn, s.In)
			if err == nil || errors.Is(err, io.EOF) {
				_ = conn.CloseWrite()
			}
		}()
	}
	var err error
	if s.TTY {
		_, err = io.Copy(writerOr(s.Out), conn.Reader)
	} else {
		_, err = stdcopy.StdCopy(writerOr(s.Out), writerOr(s.Err), conn.Reader)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// writerOr is w, or discards where that is nil.
func writerOr(w io.Writer) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}
