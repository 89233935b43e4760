package engine

import (
	"context"
	"time"
)

// DockerState is what the engine says of a container, of whatever node.
type DockerState struct {
	Status   string // "created", "running", "paused", "restarting", "removing", "exited" or "dead"
	PID      int    // 0 unless running
	Started  time.Time
	Finished time.Time // zero: it runs, or never ran
	ExitCode int
	Error    string // why it could not be started
}

// stateTimeout is how long ReadState waits, for whom a person waits.
const stateTimeout = 10 * time.Second

// ReadState asks the engine at host for a container's state; ErrNotFound where there is none of that ID, ErrUnreachable where no
// engine answers.
func ReadState(ctx context.Context, host, id string) (*DockerState, error) {
	api, err := Open(host)
	if err != nil {
		return nil, err
	}
	defer api.Close()
	ctx, cancel := context.WithTimeout(ctx, stateTimeout)
	defer cancel()
	in, err := api.ContainerInspect(ctx, id)
	if err != nil {
		return nil, classify(err)
	}
	if in.ContainerJSONBase == nil || in.State == nil {
		return &DockerState{}, nil
	}
	s := in.State
	out := &DockerState{Status: s.Status, PID: s.Pid, Started: parseTime(s.StartedAt), Finished: parseTime(s.FinishedAt), ExitCode: s.ExitCode, Error: s.Error}
	if s.Running {
		out.Finished = time.Time{} // that of the run before
	}
	return out, nil
}
