package podstate

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gantry/agents/kubelet/engine"
)

func TestBackoffGrowsAndResets(t *testing.T) {
	noon := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	f := &engine.ContainerStatus{Started: noon.Add(-time.Minute), State: engine.StateExited, Exit: engine.Exit{Code: 1, Finished: noon}}
	var got []time.Duration
	for range 8 {
		f.Backoff = NextBackoff(f)
		got = append(got, f.Backoff/time.Second)
	}
	if d := cmp.Diff([]time.Duration{10, 20, 40, 80, 160, 300, 300, 300}, got); d != "" {
		t.Errorf("back-off (-want +got):\n%s", d)
	}
	f.Started = f.Exit.Finished.Add(-11 * time.Minute)
	if at := RestartAt(f); !at.Equal(f.Exit.Finished) {
		t.Errorf("a container that ran long is restarted at %s, want at once", at)
	}
	if b := NextBackoff(f); b != firstBackoff {
		t.Errorf("back-off after a long run: %s", b)
	}
}
