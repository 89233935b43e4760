package kubelet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/pause"
	"gantry/registry/safely"
)

// callTimeout bounds one short call of the engine: beyond it the engine hangs, and the step is tried again.
const callTimeout = 2 * time.Minute

// loadPause makes sure that the engine has the pause image.
func loadPause(ctx context.Context, d docker, goarch string) error {
	_, err := d.ImageInspect(ctx, pause.Reference)
	if err == nil || !errdefs.IsNotFound(err) {
		return err
	}
	tar, err := pause.Image(goarch)
	if err != nil {
		return err
	}
	r, err := d.ImageLoad(ctx, bytes.NewReader(tar), client.ImageLoadWithQuiet(true))
	if err != nil {
		return fmt.Errorf("loading the pause image: %w", err)
	}
	defer r.Body.Close()
	if _, err := d.ImageInspect(ctx, pause.Reference); err != nil {
		return fmt.Errorf("loading the pause image: %w", err)
	}
	return nil
}

// sandboxStart is a sandbox that is being made. The pod's first containers are made beside it.
type sandboxStart struct {
	id      string
	address netip.Addr // not valid: the pod lives in the node's network
	volumes map[string]volume
	made    chan struct{} // closed when the fields above are set and the pod's files are there: containers can be made, not started

	err  error         // why there is no complete sandbox
	done chan struct{} // closed at the end; err is nil: containers can be started
}

func newSandboxStart() *sandboxStart {
	return &sandboxStart{made: make(chan struct{}), done: make(chan struct{})}
}

// errNoSandbox tells a container's start that the sandbox it follows could not be made.
var errNoSandbox = errors.New("the pod's sandbox could not be made")

// await waits until the sandbox is made or done, whichever channel is given. A nil sandboxStart is one of before: it is complete.
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

// sandboxFault says which part of a sandbox could not be made.
type sandboxFault struct {
	volumes bool
	err     error
}

func (f *sandboxFault) Error() string { return f.err.Error() }
func (f *sandboxFault) Unwrap() error { return f.err }

// makeSandbox makes the pod's sandbox, or completes what there is of it: the pause container and its network, and beside them the
// pod's volumes and files. It fills s as it goes; s.id is set too when the pause container was made and something else failed.
func (k *kubelet) makeSandbox(ctx context.Context, pod *corev1.Pod, have *found, attempt int, s *sandboxStart) error {
	defer close(s.done)
	parts, partsCtx := safely.WithContext(ctx)
	starting, _ := safely.WithContext(ctx)
	parts.Go(func() (err error) {
		if s.volumes, err = k.mountVolumes(partsCtx, pod); err != nil {
			return &sandboxFault{volumes: true, err: err}
		}
		return nil
	})
	parts.Go(func() (err error) {
		if s.address, err = k.reserve(pod); err != nil {
			return &sandboxFault{err: err}
		}
		return k.writePodFiles(pod, s.address)
	})
	parts.Go(func() error {
		if have != nil && have.state == stateRunning {
			s.id = have.id
			starting.Go(func() error { return k.connect(ctx, pod, s.id) })
			return nil
		}
		return k.makePause(ctx, pod, attempt, s, starting)
	})
	if s.err = parts.Wait(); s.err == nil {
		close(s.made)
	}
	if err := starting.Wait(); err != nil && s.err == nil {
		s.err = &sandboxFault{err: err}
	}
	return s.err
}

// makePause makes the pod's pause container; its start and its network follow in g.
func (k *kubelet) makePause(ctx context.Context, pod *corev1.Pod, attempt int, s *sandboxStart, g *safely.Group) (err error) {
	select {
	case k.sandboxes <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.id, err = k.createSandbox(ctx, pod, attempt); err != nil {
		<-k.sandboxes
		return &sandboxFault{err: err}
	}
	g.Go(func() error {
		defer func() { <-k.sandboxes }()
		if err := k.start(ctx, s.id); err != nil {
			return fmt.Errorf("starting the sandbox: %w", err)
		}
		return k.connect(ctx, pod, s.id)
	})
	return nil
}

// createSandbox makes the pod's pause container. A half-made one of before is made anew: it has nothing to lose.
func (k *kubelet) createSandbox(ctx context.Context, pod *corev1.Pod, attempt int) (id string, err error) {
	cfg := renderSandbox(pod, k.cfg.NodeName, pause.Reference, k.cfg.ClusterDomain, attempt, k.engine)
	id, err = k.create(ctx, cfg)
	if errdefs.IsNotFound(err) { // someone removed the image
		if err := loadPause(ctx, k.docker, k.goarch); err != nil {
			return "", err
		}
		id, err = k.create(ctx, cfg)
	}
	if err != nil {
		return "", fmt.Errorf("creating the sandbox: %w", err)
	}
	return id, nil
}

// create makes a container. A leftover of the same name that never ran is replaced: its reply was lost in a crash.
func (k *kubelet) create(ctx context.Context, c containerConfig) (id string, err error) {
	ctx, done, err := k.slot(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	made, err := k.docker.ContainerCreate(ctx, c.config, c.host, nil, nil, c.name)
	if !errdefs.IsConflict(err) {
		return made.ID, err
	}
	old, err := k.docker.ContainerInspect(ctx, c.name)
	if err != nil && !errdefs.IsNotFound(err) {
		return "", err
	}
	if err == nil {
		f, ours := parseFound(old, k.cfg.NodeName)
		if !ours || f.state == stateRunning {
			return "", fmt.Errorf("the name %s is taken by container %s", c.name, old.ID)
		}
		if err := k.removeNow(ctx, old.ID); err != nil {
			return "", err
		}
	}
	made, err = k.docker.ContainerCreate(ctx, c.config, c.host, nil, nil, c.name)
	return made.ID, err
}

// slot waits for leave to make the engine work. The ctx it returns outlives the one given: once begun, a call goes on when the
// kubelet is told to end, for half a start is worse than a late end.
func (k *kubelet) slot(ctx context.Context) (_ context.Context, done func(), err error) {
	select {
	case k.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	return ctx, func() { cancel(); <-k.slots }, nil
}

func (k *kubelet) start(ctx context.Context, id string) error {
	ctx, done, err := k.slot(ctx)
	if err != nil {
		return err
	}
	defer done()
	return k.docker.ContainerStart(ctx, id, container.StartOptions{})
}

func (k *kubelet) remove(ctx context.Context, id string) error {
	ctx, done, err := k.slot(ctx)
	if err != nil {
		return err
	}
	defer done()
	return k.removeNow(ctx, id)
}

func (k *kubelet) removeNow(ctx context.Context, id string) error {
	err := k.docker.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true})
	// Conflict: its removal is under way already.
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) {
		return nil
	}
	return err
}

// errNoPodCIDR tells that the node has no addresses to give yet.
var errNoPodCIDR = errors.New("the node has no podCIDR yet")

// connect gives a running sandbox its network.
func (k *kubelet) connect(ctx context.Context, pod *corev1.Pod, id string) error {
	if pod.Spec.HostNetwork {
		return nil
	}
	in, err := k.docker.ContainerInspect(ctx, id)
	if err != nil {
		return fmt.Errorf("inspecting the sandbox: %w", err)
	}
	if in.State == nil || in.State.Pid == 0 {
		return errors.New("the sandbox ended at once")
	}
	_, err = k.network.Setup(string(pod.UID), in.State.Pid, k.podCIDR(), nil)
	return err
}

// reserve promises the pod an address; none in the node's network.
func (k *kubelet) reserve(pod *corev1.Pod) (netip.Addr, error) {
	if pod.Spec.HostNetwork {
		return netip.Addr{}, nil
	}
	cidr := k.podCIDR()
	if !cidr.IsValid() {
		return netip.Addr{}, errNoPodCIDR
	}
	return k.network.Reserve(string(pod.UID), cidr, nil)
}

// release removes the sandbox, its link and the pod's volumes.
func (k *kubelet) release(ctx context.Context, uid string, sandboxes []*found) error {
	for _, f := range sandboxes {
		if err := k.remove(ctx, f.id); err != nil {
			return fmt.Errorf("removing the sandbox: %w", err)
		}
	}
	if err := k.network.Teardown(uid); err != nil {
		return err
	}
	return k.removeVolumes(ctx, uid)
}
