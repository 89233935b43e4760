package kubelet

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"

	"gantry/agents/kubelet/lifecycle"
)

// A command is killed when its ctx ends: a probe's, for instance, past its timeout.
func TestExecEndsWithItsContext(t *testing.T) {
	r := newTestCluster(t).start()
	r.run("web", nil, "run")
	id := strings.TrimPrefix(r.untilRunning("web").Status.ContainerStatuses[0].ContainerID, "docker://")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, errs := r.docker.Events(ctx, events.ListOptions{Filters: filters.NewArgs(filters.Arg("container", id))})
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		_, _, err := (lifecycle.Runner{Engine: r.engine()}).Exec(running, id, []string{"/pod", "stubborn"})
		ended <- err
	}()
	for {
		select {
		case m := <-stream:
			switch {
			case strings.HasPrefix(string(m.Action), "exec_start"):
				stop()
			case m.Action == events.ActionExecDie:
				if err := <-ended; !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "killing") {
					t.Errorf("exec: %v", err)
				}
				if m.Actor.Attributes["exitCode"] != "137" {
					t.Errorf("exit code %s, want 137", m.Actor.Attributes["exitCode"])
				}
				return
			}
		case err := <-errs:
			t.Fatalf("the command goes on: %v", err)
		}
	}
}
