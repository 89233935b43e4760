package kubelet

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/admission"
	"gantry/agents/kubelet/dns"
	"gantry/agents/kubelet/engine"
	"gantry/agents/kubelet/mounts"
	"gantry/agents/kubelet/podstate"
	"gantry/agents/kubelet/volumes"
	"gantry/registry/safely"
)

// sandboxStart is a sandbox that is being started. The pod's first containers are created meanwhile.
type sandboxStart struct {
	id        string
	addresses []netip.Addr // none: the pod lives in the node's network
	volumes   map[string]volumes.Mounted
	created   chan struct{} // closed when the fields above are set and the pod's files are written: containers can be created, not started

	abandoned chan struct{} // closed when the pod is to end: a sandbox that is not created yet is not created any more
	abandon   func()        // closes abandoned

	err  error         // why there is no complete sandbox
	done chan struct{} // closed at the end; err is nil: containers can be started
}

func newSandboxStart() *sandboxStart {
	abandoned := make(chan struct{})
	return &sandboxStart{
		created: make(chan struct{}), done: make(chan struct{}),
		abandoned: abandoned, abandon: sync.OnceFunc(func() { close(abandoned) }),
	}
}

// errNoSandbox ends a container's start whose sandbox could not be started.
var errNoSandbox = errors.New("the pod's sandbox could not be started")

// errAbandoned ends the start of a sandbox whose pod is to end.
var errAbandoned = errors.New("the pod is to end")

// await waits until one of the two channels, given as at, is closed.
func (s *sandboxStart) await(ctx context.Context, at <-chan struct{}) error {
	select {
	case <-at:
	case <-s.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-s.done:
		if s.err != nil {
			return errNoSandbox
		}
	default:
	}
	return nil
}

// sandboxFault says which part of a sandbox failed.
type sandboxFault struct {
	volumes bool
	err     error
}

func (f *sandboxFault) Error() string { return f.err.Error() }
func (f *sandboxFault) Unwrap() error { return f.err }

// makeSandbox starts the pod's sandbox, or completes the last one where that runs: the pause container and its network, and meanwhile the
// pod's volumes and files. It fills s as it goes; s.id is set too when the pause container was created and something else failed.
func (k *kubelet) makeSandbox(ctx context.Context, pod *corev1.Pod, last *engine.ContainerStatus, attempt int, s *sandboxStart) error {
	defer close(s.done)
	parts, partsCtx := safely.WithContext(ctx)
	starting, _ := safely.WithContext(ctx)
	parts.Go(func() (err error) {
		if s.volumes, err = k.volumes.Mount(partsCtx, pod); err != nil {
			return &sandboxFault{volumes: true, err: err}
		}
		return nil
	})
	parts.Go(func() (err error) {
		if s.addresses, err = k.reserveAddresses(pod); err != nil {
			return &sandboxFault{err: err}
		}
		dir, err := k.podDir(string(pod.UID))
		if err != nil {
			return err
		}
		warnings, err := mounts.WritePodFiles(dir, pod, s.addresses, mounts.ClusterDNS{Servers: k.cfg.ClusterDNS, Domain: k.cfg.ClusterDomain})
		k.warnOfResolver(pod, warnings)
		return err
	})
	parts.Go(func() error {
		if last != nil && last.State == engine.StateRunning {
			s.id = last.ID
			starting.Go(func() error { return k.connect(ctx, pod, s.id) })
			return nil
		}
		return k.startPause(ctx, pod, attempt, s, starting)
	})
	if s.err = parts.Wait(); s.err == nil {
		close(s.created)
	}
	if err := starting.Wait(); err != nil && s.err == nil {
		s.err = &sandboxFault{err: err}
	}
	return s.err
}

// startPause creates the pod's pause container; its start and its network follow in g.
func (k *kubelet) startPause(ctx context.Context, pod *corev1.Pod, attempt int, s *sandboxStart, g *safely.Group) (err error) {
	select {
	case k.startingSandboxes <- struct{}{}:
	case <-s.abandoned:
		return errAbandoned
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.id, err = k.createSandbox(ctx, pod, attempt); err != nil {
		<-k.startingSandboxes
		return &sandboxFault{err: err}
	}
	g.Go(func() error {
		defer func() { <-k.startingSandboxes }()
		if err := k.engine.Start(ctx, s.id); err != nil {
			return fmt.Errorf("starting the sandbox: %w", err)
		}
		return k.connect(ctx, pod, s.id)
	})
	return nil
}

// createSandbox creates the pod's pause container.
func (k *kubelet) createSandbox(ctx context.Context, pod *corev1.Pod, attempt int) (id string, err error) {
	c := engine.SandboxConfig{Pod: pod, Attempt: attempt, Grace: podstate.SpecGrace(pod), Sysctls: admission.Sysctls(pod)}
	if !pod.Spec.HostNetwork {
		c.Hostname = dns.SandboxHostname(pod, k.cfg.ClusterDomain)
	}
	if id, err = k.engine.CreateSandbox(ctx, c); err != nil {
		return "", fmt.Errorf("creating the sandbox: %w", err)
	}
	return id, nil
}

// errNoPodCIDR: the node cannot give addresses yet.
var errNoPodCIDR = errors.New("the node has no podCIDR yet")

// connect gives a running sandbox its network.
func (k *kubelet) connect(ctx context.Context, pod *corev1.Pod, id string) error {
	if pod.Spec.HostNetwork {
		return nil
	}
	sandbox, err := k.engine.Container(ctx, id)
	if err != nil {
		return fmt.Errorf("inspecting the sandbox: %w", err)
	}
	if sandbox.PID == 0 {
		return errors.New("the sandbox ended at once")
	}
	_, err = k.network.Setup(string(pod.UID), sandbox.PID, k.node.PodCIDRs(), nil)
	return err
}

// reserveAddresses reserves addresses for the pod; none in the node's network.
func (k *kubelet) reserveAddresses(pod *corev1.Pod) ([]netip.Addr, error) {
	if pod.Spec.HostNetwork {
		return nil, nil
	}
	cidrs := k.node.PodCIDRs()
	if len(cidrs) == 0 {
		return nil, errNoPodCIDR
	}
	return k.network.Reserve(string(pod.UID), cidrs, nil)
}

// release removes the pod's sandboxes, its link and its volumes.
func (k *kubelet) release(ctx context.Context, uid string, sandboxes []*engine.ContainerStatus) error {
	for _, cs := range sandboxes {
		if err := k.engine.Remove(ctx, cs.ID); err != nil {
			return fmt.Errorf("removing the sandbox: %w", err)
		}
	}
	if err := k.network.Teardown(uid); err != nil {
		return err
	}
	return k.removeVolumes(ctx, uid)
}

func (w *worker) sandboxJob(v podstate.View, a action) func(context.Context) (func(), error) {
	pod, last := v.Pod, v.Sandbox()
	s := newSandboxStart()
	w.startingSandbox = s
	return func(ctx context.Context) (func(), error) {
		begin := time.Now()
		if last != nil && last.State == engine.StateExited && a.attempt > last.Attempt {
			w.k.podEvent(pod, corev1.EventTypeNormal, "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
			if err := w.k.network.Teardown(w.ref.UID); err != nil {
				return nil, err
			}
		}
		if err := w.k.makeSandbox(ctx, pod, last, a.attempt, s); errors.Is(err, errAbandoned) {
			return nil, nil
		} else if err != nil {
			return w.sandboxFailed(ctx, pod, s.id, err), nil
		}
		sandboxSeconds.Observe(time.Since(begin).Seconds())
		return func() {
			w.dirty[s.id] = true
			for id := range w.statuses { // probes of the first containers need the address
				w.dirty[id] = true
			}
			w.addressSandbox, w.addresses, w.volumes, w.released = s.id, s.addresses, s.volumes, false
			delete(w.waits, engine.SandboxName)
			w.sandboxFailures = 0
		}, nil
	}
}

// sandboxFailed records the event of a sandbox that failed. The function it returns sets when the next attempt may begin.
func (w *worker) sandboxFailed(ctx context.Context, pod *corev1.Pod, id string, err error) func() {
	if ctx.Err() == nil {
		var fault *sandboxFault
		switch {
		case isTransient(ctx, err) || errors.Is(err, errNoPodCIDR):
		case errors.As(err, &fault) && fault.volumes:
			w.k.podEvent(pod, corev1.EventTypeWarning, "FailedMount", "%v", err)
		default:
			w.k.podEvent(pod, corev1.EventTypeWarning, "FailedCreatePodSandBox", "Failed to create pod sandbox: %v", err)
		}
		w.log.Warn("sandbox failed", "err", err)
	}
	return func() {
		wait := sandboxRetry << min(w.sandboxFailures, sandboxDoublings)
		w.sandboxFailures++
		w.waits[engine.SandboxName] = time.Now().Add(wait)
		if id != "" {
			w.dirty[id] = true // it was created before the fault
		}
	}
}

// sandboxRetry is how soon a sandbox that failed is tried again; it doubles up to 32 times that.
const (
	sandboxRetry     = time.Second
	sandboxDoublings = 5
)

func (w *worker) releaseJob(v podstate.View) func(context.Context) (func(), error) {
	pod, sandboxes := v.Pod, v.Sandboxes
	return func(ctx context.Context) (func(), error) {
		if err := w.k.release(ctx, w.ref.UID, sandboxes); err != nil {
			if errors.Is(err, errVolumesLeft) && ctx.Err() == nil {
				w.k.podEvent(pod, corev1.EventTypeWarning, "FailedUnMount", "%v", err)
			}
			return func() { w.waits[engine.SandboxName] = time.Now().Add(sandboxRetry) }, err
		}
		return func() {
			for _, cs := range sandboxes {
				w.forget(cs.ID)
			}
			w.released, w.volumes, w.addressSandbox = true, nil, ""
		}, nil
	}
}

// errVolumesLeft tells that a pod's volumes are not unmounted: its directory stays, and nothing in it is removed.
var errVolumesLeft = errors.New("volumes are left")

// removeVolumes unmounts a pod's volumes and removes its directory.
func (k *kubelet) removeVolumes(ctx context.Context, uid string) error {
	err := k.volumes.Unmount(ctx, uid)
	if err == nil {
		err = k.volumes.Remove(ctx, uid)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errVolumesLeft, err)
	}
	return nil
}
