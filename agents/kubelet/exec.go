package kubelet

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"

	"gantry/agents/kubelet/stream"
)

// maxOutput bounds what is kept of a command's output, in bytes.
const maxOutput = 10 * 1024

// exec runs a command in a container and returns the beginning of its output and its exit code. A command whose
// ctx ends is killed.
func (k *kubelet) exec(ctx context.Context, id string, command []string) (output []byte, code int, err error) {
	made, err := k.docker.ContainerExecCreate(ctx, id, container.ExecOptions{Cmd: command, AttachStdout: true, AttachStderr: true})
	if err != nil {
		return nil, 0, fmt.Errorf("creating the exec: %w", err)
	}
	conn, err := k.docker.ContainerExecAttach(ctx, made.ID, container.ExecAttachOptions{})
	if err != nil {
		return nil, 0, fmt.Errorf("starting the exec: %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, conn.Close)() // a hijacked connection knows no context
	out := &limited{left: maxOutput}
	_, err = stdcopy.StdCopy(out, out, conn.Reader)
	if ctx.Err() != nil {
		return out.Bytes(), 0, errors.Join(ctx.Err(), stream.EndExec(ctx, k.docker, made.ID))
	}
	if err != nil {
		return out.Bytes(), 0, fmt.Errorf("reading the exec's output: %w", err)
	}
	in, err := k.docker.ContainerExecInspect(ctx, made.ID)
	if err != nil {
		return out.Bytes(), 0, fmt.Errorf("inspecting the exec: %w", err)
	}
	return out.Bytes(), in.ExitCode, nil
}

// limited keeps the beginning of what is written and swallows the rest.
type limited struct {
	bytes.Buffer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	l.Buffer.Write(p[:n])
	return len(p), nil
}
