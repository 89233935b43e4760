package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

func (r *run) dataDir() string    { return filepath.Join(r.work, "gantry") }
func (r *run) kubeconfig() string { return filepath.Join(r.dataDir(), "admin.conf") }

// startCluster starts a cluster of this machine and waits until its node is ready; stop removes all of it.
func (r *run) startCluster(ctx context.Context) (stop func(), err error) {
	log, err := os.Create(filepath.Join(r.work, "gantry.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	gantry := filepath.Join(r.repo, "bin", "gantry")
	// A test waits 10 minutes for a list to be compacted away: etcd does that at most twice its retention after the list was read.
	c := exec.Command(gantry, "up", "--data-dir", r.dataDir(), "--etcd-compaction-interval", "3m")
	c.Stdout, c.Stderr = log, log
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("starting the cluster: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	stop = func() {
		if err := loud(exec.Command(gantry, "down", "--data-dir", r.dataDir())); err != nil {
			say("removing the cluster: %v", err)
		}
	}
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Second) {
		ready := command(ctx, "kubectl", "--kubeconfig", r.kubeconfig(), "wait", "--for=condition=Ready", "nodes", "--all", "--timeout=5s")
		if ready.Run() == nil {
			return stop, nil
		}
		select {
		case err := <-ended:
			return nil, fmt.Errorf("the cluster ended, see %s: %v", log.Name(), err)
		default:
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			stop()
			return nil, errors.New("no ready node after two minutes, see " + log.Name())
		}
	}
}
