package scheduler

import (
	"errors"
	"fmt"
	"log/slog"

	"gantry/agents/internal/daemon"
	"gantry/agents/scheduler/plugins"
	"gantry/agents/scheduler/profiles"
	"gantry/registry"
)

// Config is what the scheduler needs.
type Config struct {
	// Registry reads and writes; its Run is the caller's.
	Registry *registry.Registry
	// Identity names this process in the election.
	Identity string
	// File is a KubeSchedulerConfiguration (package profiles); "": one profile, default-scheduler, with all plug-ins.
	File string
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
	if err := ValidateFile(c.File); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// ValidateFile returns every fault of a KubeSchedulerConfiguration; "" has none.
func ValidateFile(path string) error {
	if _, err := profiles.ReadFile(path, plugins.All); err != nil {
		return fmt.Errorf("--scheduler-config: %w", err)
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	c.Log = c.Log.With("agent", "scheduler")
	return c
}
