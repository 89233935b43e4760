// Package probe runs the startup, liveness and readiness probes of containers, by HTTP, TCP, gRPC and
// commands, as a pod's spec describes them.
//
// Results are kept by container ID, so that a restarted container has none. While the startup probe has
// not succeeded the others wait. A container begins as alive and not ready, unless a restarted kubelet knows that it was ready.
package probe

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"gantry/registry/safely"
)

// Config is what a Prober needs.
type Config struct {
	// Exec runs a command in a container and returns what it printed and its exit code.
	Exec func(ctx context.Context, containerID string, command []string) (out []byte, code int, err error)
	// Changed is called when a container's Result changed. It must not block.
	Changed func(pod *corev1.Pod)
	// Event is called for every probe that fails, errs or warns, with the event's reason and text (Unhealthy, "Readiness
	// probe failed: ...").
	Event func(pod *corev1.Pod, container, reason, message string)
	Log   *slog.Logger
}

// Target is a running container to probe.
type Target struct {
	Pod       *corev1.Pod
	Container *corev1.Container
	ID        string // of the running container
	IP        netip.Addr
	StartedAt time.Time
	// WasReady is the readiness last reported of this container: a restart of the kubelet keeps it.
	WasReady bool
	// WasStarted is the same for the startup probe.
	WasStarted bool
}

// Result is what is known of a container.
type Result struct {
	// Started: the startup probe has succeeded, or there is none.
	Started bool
	// Ready: the readiness probe succeeds, or there is none, and the container is Started.
	Ready bool
	// Unhealthy is the probe that wants the container restarted, "liveness" or "startup"; "": none.
	Unhealthy string
}

// Prober probes containers. Make it with New and run it with Run; Ensure waits for Run.
type Prober struct {
	cfg   Config
	start chan *target

	mu      sync.Mutex // guards targets and every target's result
	targets map[string]*target
}

// target is one container's probes.
type target struct {
	Target
	forgotten chan struct{} // closed by Forget
	result    Result
}

// New returns a Prober; it starts nothing.
func New(cfg Config) *Prober {
	return &Prober{cfg: cfg, start: make(chan *target), targets: map[string]*target{}}
}

// Run probes what Ensure names until ctx is done.
func (p *Prober) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for {
		select {
		case t := <-p.start:
			g.Go(func() error { p.probe(ctx, t); return nil })
		case <-ctx.Done():
			return g.Wait()
		}
	}
}

// Ensure begins to probe a container unless it is probed already. A container without probes is ignored.
func (p *Prober) Ensure(ctx context.Context, t Target) {
	c := t.Container
	if c.StartupProbe == nil && c.LivenessProbe == nil && c.ReadinessProbe == nil {
		return
	}
	started := c.StartupProbe == nil || t.WasStarted
	fresh := &target{
		Target: t, forgotten: make(chan struct{}),
		result: Result{Started: started, Ready: started && (c.ReadinessProbe == nil || t.WasReady)},
	}
	p.mu.Lock()
	if p.targets[t.ID] != nil {
		p.mu.Unlock()
		return
	}
	p.targets[t.ID] = fresh
	p.mu.Unlock()
	select {
	case p.start <- fresh:
	case <-ctx.Done():
		p.Forget(t.ID)
	}
}

// Forget ends the probes of a container that has ended.
func (p *Prober) Forget(containerID string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.targets[containerID]; t != nil {
		close(t.forgotten)
		delete(p.targets, containerID)
	}
}

// Result returns what is known of a container; ok is false for one that is not probed.
func (p *Prober) Result(containerID string) (r Result, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.targets[containerID]
	if t == nil {
		return Result{}, false
	}
	return t.result, true
}

// probe runs the probes of one container: startup first, then liveness and readiness side by side.
func (p *Prober) probe(ctx context.Context, t *target) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		select {
		case <-t.forgotten:
			cancel()
		case <-ctx.Done():
		}
	})
	c := t.Container
	if c.StartupProbe != nil && !t.WasStarted && !p.repeat(ctx, t, "Startup", c.StartupProbe, false) {
		cancel()
		return
	}
	var probes sync.WaitGroup
	if c.LivenessProbe != nil {
		probes.Go(func() { p.repeat(ctx, t, "Liveness", c.LivenessProbe, true) })
	}
	if c.ReadinessProbe != nil {
		probes.Go(func() { p.repeat(ctx, t, "Readiness", c.ReadinessProbe, t.WasReady) })
	}
	probes.Wait()
	cancel()
}

// repeat probes until ctx is done. The startup probe ends at its first success (true); startup and liveness end
// when they have failed for good (false): the container will be restarted.
func (p *Prober) repeat(ctx context.Context, t *target, kind string, spec *corev1.Probe, healthy bool) bool {
	timer := time.NewTimer(time.Until(t.StartedAt.Add(time.Duration(spec.InitialDelaySeconds) * time.Second)))
	defer timer.Stop()
	count := counter{healthy: healthy, success: max(int(spec.SuccessThreshold), 1), failure: max(int(spec.FailureThreshold), 1)}
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
		}
		last := false
		safely.Do(p.cfg.Log.With("ns", t.Pod.Namespace, "pod", t.Pod.Name, "container", t.Container.Name), "probing", func() {
			last = p.probeOnce(ctx, t, kind, spec, &count)
		})
		switch {
		case ctx.Err() != nil:
			return false
		case last:
			return count.healthy
		}
		timer.Reset(time.Duration(max(spec.PeriodSeconds, 1)) * time.Second)
	}
}

// probeOnce probes once and tells whether that was the last time.
func (p *Prober) probeOnce(ctx context.Context, t *target, kind string, spec *corev1.Probe, count *counter) (last bool) {
	a := p.runWithRetries(ctx, t, spec)
	if ctx.Err() != nil {
		return false
	}
	p.record(t, kind, a)
	if a.err != nil || !count.add(a.ok) { // an unknown result does not count
		return false
	}
	p.report(t, kind, count.healthy)
	return kind == "Startup" || kind == "Liveness" && !count.healthy
}

// record counts a result, and records the event of a failure, an error or a warning.
func (p *Prober) record(t *target, kind string, a result) {
	event := func(reason, format string, args ...any) {
		p.cfg.Event(t.Pod, t.Container.Name, reason, kind+" probe "+fmt.Sprintf(format, args...))
	}
	switch {
	case a.err != nil:
		event("Unhealthy", "errored and resulted in unknown state: %v", a.err)
		return
	case !a.ok:
		event("Unhealthy", "failed: %s", a.message)
	case a.warning != "":
		event("ProbeWarning", "warning: %s", a.warning)
	}
	probesTotal.WithLabelValues(kind, resultLabel(a.ok)).Inc()
}

// report stores whether a container is healthy by a probe, and calls Changed when that changed.
func (p *Prober) report(t *target, kind string, healthy bool) {
	p.mu.Lock()
	before := t.result
	switch {
	case kind == "Readiness":
		t.result.Ready = healthy
	case !healthy && kind == "Startup":
		t.result.Unhealthy = "startup"
	case !healthy:
		t.result.Unhealthy = "liveness"
	case kind == "Startup":
		t.result.Started = true
		t.result.Ready = t.Container.ReadinessProbe == nil
	}
	changed := before != t.result
	p.mu.Unlock()
	if changed {
		p.cfg.Log.Debug("probe result changed", "ns", t.Pod.Namespace, "pod", t.Pod.Name, "container", t.Container.Name, "probe", kind, "healthy", healthy)
		p.cfg.Changed(t.Pod)
	}
}

// counter decides by results whether a container is healthy: a change takes as many in a row as the thresholds say.
type counter struct {
	healthy          bool
	decided          bool // healthy has been decided by results
	row              int
	last             bool
	success, failure int
}

// add counts a result and tells whether healthy has changed, or is decided for the first time.
func (c *counter) add(ok bool) bool {
	if ok != c.last {
		c.row = 0
	}
	c.last = ok
	c.row++
	need := c.failure
	if ok {
		need = c.success
	}
	if c.row < need || c.decided && ok == c.healthy {
		return false
	}
	c.healthy, c.decided = ok, true
	return true
}
