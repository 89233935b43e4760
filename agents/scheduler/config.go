package scheduler

import (
	"errors"
	"fmt"
	"log/slog"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/internal/daemon"
	"gantry/registry"
)

// Config is what the scheduler needs.
type Config struct {
	// Registry reads and writes; its Run is the caller's.
	Registry *registry.Registry
	// Identity names this process in the election.
	Identity string
	// SchedulerName is the spec.schedulerName of the pods to place. Default: default-scheduler.
	SchedulerName string
	// Health gets the check "scheduler".
	Health *daemon.Health
	Log    *slog.Logger
}

// Validate returns every fault of c.
func (c Config) Validate() error {
	var faults []error
	if c.Registry == nil {
		faults = append(faults, fmt.Errorf("--etcd-servers: the scheduler needs a registry"))
	}
	if c.Identity == "" {
		faults = append(faults, fmt.Errorf("--node-name: the scheduler needs a name for its elections"))
	}
	if c.Health == nil {
		faults = append(faults, fmt.Errorf("the scheduler needs a place for its health checks"))
	}
	return errors.Join(faults...)
}

func (c Config) withDefaults() Config {
	if c.SchedulerName == "" {
		c.SchedulerName = corev1.DefaultSchedulerName
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	c.Log = c.Log.With("agent", "scheduler")
	return c
}
