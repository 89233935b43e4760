package kubelet

import (
	"time"

	"gantry/agents/kubelet/engine"
)

// The back-off of a container that ends: none after its first end, then 10 s, doubled up to 5 min; an attempt that ran
// for twice the longest back-off starts anew. It is a function of what stands on the last attempt alone, so a
// restarted kubelet goes on where it was.
const (
	firstBackoff = 10 * time.Second
	maxBackoff   = 5 * time.Minute
	backoffReset = 2 * maxBackoff
)

// restartAt is when the container may be started again after its attempt f has ended.
func restartAt(f *engine.ContainerStatus) time.Time {
	if ranLong(f) {
		return f.Exit.Finished
	}
	return f.Exit.Finished.Add(f.Backoff)
}

// nextBackoff is what the attempt after f carries: what to wait when that one ends. f nil: the first attempt.
func nextBackoff(f *engine.ContainerStatus) time.Duration {
	switch {
	case f == nil:
		return 0
	case f.Backoff == 0 || ranLong(f):
		return firstBackoff
	}
	return min(2*f.Backoff, maxBackoff)
}

func ranLong(f *engine.ContainerStatus) bool {
	return !f.Started.IsZero() && f.Exit.Finished.Sub(f.Started) > backoffReset
}
