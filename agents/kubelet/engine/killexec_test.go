package engine

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
)

// What is killed is the exec's process: not one that has its number by now, and not one of another container.
func TestOnlyTheExecsProcessIsKilled(t *testing.T) {
	group, err := os.ReadFile("/proc/self/cgroup") // the container is called as the test's own control group
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		first, then container.ExecInspect
		killed      bool
	}{
		"runs":                 {container.ExecInspect{Running: true}, container.ExecInspect{Running: true}, true},
		"has ended":            {container.ExecInspect{}, container.ExecInspect{}, false},
		"ends meanwhile":       {container.ExecInspect{Running: true}, container.ExecInspect{}, false},
		"of another container": {container.ExecInspect{Running: true, ContainerID: "0123456789abcdef"}, container.ExecInspect{Running: true, ContainerID: "0123456789abcdef"}, false},
	} {
		pid, ended := startProcess(t)
		d := &inspections{list: []container.ExecInspect{tc.first, tc.then}}
		for i := range d.list {
			d.list[i].Pid = pid
			if d.list[i].ContainerID == "" {
				d.list[i].ContainerID = string(group)
			}
		}
		if err := killExec(t.Context(), d, "exec"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if tc.killed {
			select {
			case <-ended:
			case <-time.After(30 * time.Second):
				t.Errorf("%s: the process goes on", name)
			}
			continue
		}
		select {
		case <-ended:
			t.Errorf("%s: the process was killed", name)
		default:
		}
	}
}

// inspections answers with one after the other.
type inspections struct{ list []container.ExecInspect }

func (d *inspections) ContainerExecInspect(context.Context, string) (container.ExecInspect, error) {
	e := d.list[0]
	d.list = d.list[1:]
	return e, nil
}

// startProcess starts a process that lasts until it is killed; ended is closed then.
func startProcess(t *testing.T) (pid int, ended <-chan struct{}) {
	t.Helper()
	cmd := exec.Command("cat")
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(over)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-over
	})
	return cmd.Process.Pid, over
}
