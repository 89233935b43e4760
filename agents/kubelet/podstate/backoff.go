package podstate

import (
	"time"

	"gantry/agents/kubelet/engine"
)

// The back-off of a container that ends: none after its first end, then 10 s, doubled up to 5 min; an attempt that ran
// for twice the longest back-off resets it. It is a function of what is kept on the last attempt alone, so a
// restarted kubelet goes on where it was.
const (
	firstBackoff = 10 * time.Second
	MaxBackoff   = 5 * time.Minute
	backoffReset = 2 * MaxBackoff
)

// RestartAt is when the container may be started again after its attempt cs has ended.
func RestartAt(cs *engine.ContainerStatus) time.Time {
	if ranLong(cs) {
		return cs.Exit.Finished
	}
	return cs.Exit.Finished.Add(cs.Backoff)
}

// NextBackoff is the back-off of the attempt after s: what to wait when that one ends. cs nil: the first attempt.
func NextBackoff(cs *engine.ContainerStatus) time.Duration {
	switch {
	case cs == nil:
		return 0
	case cs.Backoff == 0 || ranLong(cs):
		return firstBackoff
	}
	return min(2*cs.Backoff, MaxBackoff)
}

func ranLong(cs *engine.ContainerStatus) bool {
	return !cs.Started.IsZero() && cs.Exit.Finished.Sub(cs.Started) > backoffReset
}
