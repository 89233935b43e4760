package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
)

// killTimeout bounds the end of an exec, whose own ctx has ended by then.
const killTimeout = 30 * time.Second

// execInspector is the part of API that killExec uses.
type execInspector interface {
	ContainerExecInspect(ctx context.Context, execID string) (container.ExecInspect, error)
}

// killExec kills the process of an exec whose caller has gone, as containerd does when a stream ends; one that has ended
// is no error. Docker has no call for it, so it is killed from the host, and only while it is certain to be that process.
// It goes on when ctx has ended.
func killExec(ctx context.Context, d execInspector, execID string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), killTimeout)
	defer cancel()
	e, err := d.ContainerExecInspect(ctx, execID)
	for tries := 0; err == nil && e.Running && e.Pid == 0 && tries < exitTries; tries++ { // it is being started
		if err = wait(ctx, exitPoll); err == nil {
			e, err = d.ContainerExecInspect(ctx, execID)
		}
	}
	if errdefs.IsNotFound(err) || err == nil && (!e.Running || e.Pid == 0) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("killing exec %s: %w", execID, err)
	}
	p, err := os.FindProcess(e.Pid) // by a pidfd: it means this process even when its number is reused
	if err != nil {
		return fmt.Errorf("killing exec %s: %w", execID, err)
	}
	defer func() { _ = p.Release() }()
	now, err := d.ContainerExecInspect(ctx, execID)
	if err != nil || !now.Running || now.Pid != e.Pid || !inContainer(e.Pid, e.ContainerID) {
		return nil // it ended meanwhile
	}
	if err := p.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("killing exec %s: %w", execID, err)
	}
	return nil
}

// inContainer tells whether a process of the host belongs to a container: the engine names control groups by the container's ID.
func inContainer(pid int, containerID string) bool {
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	return err == nil && containerID != "" && strings.Contains(string(groups), containerID)
}

// wait waits for d; ctx's error when that ends first.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
