package lifecycle

import (
	"bytes"
	"context"
	"fmt"

	"gantry/agents/kubelet/engine"
)

// maxOutput bounds what is kept of a command's output, in bytes.
const maxOutput = 10 * 1024

// Runner runs commands and handlers in containers.
type Runner struct{ Engine engine.Engine }

// Exec runs a command in a container and returns the beginning of its output and its exit code. A command whose
// ctx ends is killed.
func (r Runner) Exec(ctx context.Context, id string, command []string) (output []byte, code int, err error) {
	out := &limitedBuffer{left: maxOutput}
	code, err = r.Engine.Exec(ctx, id, command, engine.Streams{Out: out, Err: out})
	if err != nil {
		return out.Bytes(), 0, fmt.Errorf("running the exec: %w", err)
	}
	return out.Bytes(), code, nil
}

// limitedBuffer keeps the beginning of what is written and drops the rest.
type limitedBuffer struct {
	bytes.Buffer
	left int
}

func (l *limitedBuffer) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	l.Buffer.Write(p[:n])
	return len(p), nil
}
