package profiles

import (
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	schedulerv1 "k8s.io/kube-scheduler/config/v1"

	"gantry/agents/scheduler/framework"
	"gantry/schema"
)

// Settings are what a configuration says.
type Settings struct {
	Profiles []framework.Profile
	// InitialBackoff is how long a pod waits after its first failed attempt; it is doubled with each, up to MaxBackoff.
	InitialBackoff, MaxBackoff time.Duration
}

// The settings of an empty configuration.
const (
	DefaultInitialBackoff = time.Second
	DefaultMaxBackoff     = 10 * time.Second
)

// Default returns the settings of an empty configuration: one profile with all plug-ins.
func Default(rows []framework.Plugin) Settings {
	return Settings{
		Profiles:       []framework.Profile{{SchedulerName: corev1.DefaultSchedulerName, Rows: rows}},
		InitialBackoff: DefaultInitialBackoff, MaxBackoff: DefaultMaxBackoff,
	}
}

// ReadFile returns the settings of a file for a table of plug-ins; "": Default. The error has every fault.
func ReadFile(path string, rows []framework.Plugin) (Settings, error) {
	if path == "" {
		return Default(rows), nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return Settings{}, err
	}
	settings, err := Read(text, rows)
	if err != nil {
		return Settings{}, fmt.Errorf("reading %s: %w", path, err)
	}
	return settings, nil
}

// Read returns the settings of a configuration in YAML or JSON.
func Read(text []byte, rows []framework.Plugin) (Settings, error) {
	var c schedulerv1.KubeSchedulerConfiguration
	if err := schema.DecodeYAML(text, &c); err != nil {
		return Settings{}, err
	}
	if c.APIVersion != schedulerv1.SchemeGroupVersion.String() || c.Kind != "KubeSchedulerConfiguration" {
		return Settings{}, fmt.Errorf("no kind %q is registered for version %q: want KubeSchedulerConfiguration of %s", c.Kind, c.APIVersion, schedulerv1.SchemeGroupVersion)
	}
	setDefaults(&c)
	faults := validate(&c)
	settings := Settings{
		InitialBackoff: time.Duration(*c.PodInitialBackoffSeconds) * time.Second,
		MaxBackoff:     time.Duration(*c.PodMaxBackoffSeconds) * time.Second,
	}
	for i := range c.Profiles {
		p, errs := profileOf(i, &c.Profiles[i], rows)
		faults = append(faults, errs...)
		settings.Profiles = append(settings.Profiles, p)
	}
	if err := faults.ToAggregate(); err != nil {
		return Settings{}, err
	}
	return settings, nil
}

func setDefaults(c *schedulerv1.KubeSchedulerConfiguration) {
	setDefault(&c.Parallelism, 16)
	setDefault(&c.PercentageOfNodesToScore, 0)
	setDefault(&c.PodInitialBackoffSeconds, int64(DefaultInitialBackoff/time.Second))
	setDefault(&c.PodMaxBackoffSeconds, int64(DefaultMaxBackoff/time.Second))
	if len(c.Profiles) == 0 {
		c.Profiles = []schedulerv1.KubeSchedulerProfile{{}}
	}
	if len(c.Profiles) == 1 {
		setDefault(&c.Profiles[0].SchedulerName, corev1.DefaultSchedulerName)
	}
}

// setDefault sets a field that is not set.
func setDefault[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}
