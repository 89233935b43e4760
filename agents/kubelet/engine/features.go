package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/system"

	"gantry/registry/safely"
)

// features is what containers can have on this engine and its host; detected once.
type features struct {
	memory      int64 // bytes of the host
	swapLimit   bool  // swap can be limited
	memoryLimit bool
	cpuQuota    bool
	cpuShares   bool
	appArmor    bool
	jsonLogs    bool     // the default log driver is json-file
	negativeOOM bool     // a container can have a negative oom_score_adj
	privileged  bool     // a container can be --privileged
	missing     []string // capabilities that a privileged container does without where it can't
	// pauseSeccomp: the pause container starts with a seccomp profile of its own.
	pauseSeccomp bool
}

// detected are the features that Prepare found.
func (d *Docker) detected() (features, error) {
	f := d.features.Load()
	if f == nil {
		return features{}, errNotPrepared
	}
	return *f, nil
}

// trials are the features that only an attempt shows. They are kept in a file: they change with the engine or
// a reboot alone.
type trials struct {
	Version      int    `json:"version"` // trialsVersion
	Engine       string `json:"engine"`
	Boot         string `json:"boot"`
	NegativeOOM  bool   `json:"negativeOOM"`
	Privileged   bool   `json:"privileged"`
	PauseSeccomp bool   `json:"pauseSeccomp"`
}

// trialsVersion changes with the trials.
const trialsVersion = 2

const (
	trialsFile = "engine.json"
	bootIDFile = "/proc/sys/kernel/random/boot_id"
)

// detect detects the engine's features. image is one that exists.
func (d *Docker) detect(ctx context.Context, image string) (features, error) {
	info, err := d.api.Info(ctx)
	if err != nil {
		return features{}, fmt.Errorf("reading the engine's features: %w", classify(err))
	}
	f := featuresOf(info)
	status, _ := os.ReadFile("/proc/self/status")
	// The engine is assumed to lack what this process lacks: both are services of one host.
	f.missing = missingCapabilities(string(status))
	boot, _ := os.ReadFile(bootIDFile)
	t := trials{Version: trialsVersion, Engine: info.ID + " " + info.ServerVersion, Boot: strings.TrimSpace(string(boot))}
	file := filepath.Join(d.cfg.DataDir, trialsFile)
	if have, err := readTrials(file); err == nil && have.Version == t.Version && have.Engine == t.Engine && have.Boot == t.Boot {
		have.addTo(&f)
		return f, nil
	}
	if err := t.run(ctx, d, image); err != nil {
		return features{}, err
	}
	t.addTo(&f)
	return f, writeTrials(file, t)
}

// addTo sets the features that were tried.
func (t trials) addTo(f *features) {
	f.negativeOOM, f.privileged, f.pauseSeccomp = t.NegativeOOM, t.Privileged, t.PauseSeccomp
}

// featuresOf are the features that the engine lists.
func featuresOf(info system.Info) features {
	return features{
		memory: info.MemTotal, swapLimit: info.SwapLimit, memoryLimit: info.MemoryLimit,
		cpuQuota: info.CPUCfsQuota, cpuShares: info.CPUShares,
		appArmor: slices.ContainsFunc(info.SecurityOptions, func(o string) bool { return strings.HasPrefix(o, "name=apparmor") }),
		jsonLogs: info.LoggingDriver == "json-file",
	}
}

// run starts and removes a container for each trial. A container that cannot be created is an error, one that cannot
// be started means that the feature is missing.
func (t *trials) run(ctx context.Context, d *Docker, image string) error {
	g, ctx := safely.WithContext(ctx)
	try := func(feature *bool, name string, h *container.HostConfig) {
		g.Go(func() (err error) {
			*feature, err = d.tryStart(ctx, fmt.Sprintf("gantry-trial-%s-%s", d.cfg.Node, name), image, h)
			return err
		})
	}
	try(&t.NegativeOOM, "oom", &container.HostConfig{NetworkMode: "none", OomScoreAdj: oomSandbox})
	try(&t.Privileged, "privileged", &container.HostConfig{NetworkMode: "none", Privileged: true})
	try(&t.PauseSeccomp, "seccomp", confinePause(&container.HostConfig{NetworkMode: "none"}))
	return g.Wait()
}

func (d *Docker) tryStart(ctx context.Context, name, image string, h *container.HostConfig) (ok bool, err error) {
	force := container.RemoveOptions{Force: true}
	// As root: another user has no capabilities, so their lack would not show.
	c := &container.Config{Image: image, User: "0:0", NetworkDisabled: true, Labels: map[string]string{labelTrial: "true"}}
	made, err := d.api.ContainerCreate(ctx, c, h, nil, nil, name)
	if errdefs.IsConflict(err) { // left by a crash
		if err := d.api.ContainerRemove(ctx, name, force); err != nil && !errdefs.IsNotFound(err) {
			return false, fmt.Errorf("removing the engine's last trial: %w", classify(err))
		}
		made, err = d.api.ContainerCreate(ctx, c, h, nil, nil, name)
	}
	if err != nil {
		return false, fmt.Errorf("trying the engine: %w", classify(err))
	}
	start := d.api.ContainerStart(ctx, made.ID, container.StartOptions{})
	remove := d.api.ContainerRemove(context.WithoutCancel(ctx), made.ID, force)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	return start == nil, classify(remove)
}

// labelTrial marks the containers of trials.
const labelTrial = "io.gantry.trial"

func readTrials(file string) (t trials, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return t, err
	}
	err = json.Unmarshal(text, &t)
	return t, err
}

func writeTrials(file string, t trials) error {
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, text, 0o644)); err != nil {
		return fmt.Errorf("writing the engine's features: %w", err)
	}
	return nil
}
