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

// sandboxResult is what a complete sandbox has.
type sandboxResult struct {
	id      string
	address netip.Addr // not valid: the pod lives in the node's network
	volumes map[string]volume
}

// sandboxFault says which part of a sandbox could not be made.
type sandboxFault struct {
	volumes bool
	err     error
}

func (f *sandboxFault) Error() string { return f.err.Error() }
func (f *sandboxFault) Unwrap() error { return f.err }

// makeSandbox makes the pod's sandbox, or completes what there is of it: the pause container, its network, and the pod's
// volumes beside it.
func (k *kubelet) makeSandbox(ctx context.Context, pod *corev1.Pod, have *found, attempt int) (r sandboxResult, err error) {
	g, ctx := safely.WithContext(ctx)
	g.Go(func() error {
		v, err := k.mountVolumes(ctx, pod)
		if err != nil {
			return &sandboxFault{volumes: true, err: err}
		}
		r.volumes = v
		return nil
	})
	g.Go(func() error {
		id, err := k.startSandbox(ctx, pod, have, attempt)
		r.id = id
		if err == nil {
			r.address, err = k.connect(ctx, pod, id)
		}
		if err != nil {
			return &sandboxFault{err: err}
		}
		return k.writePodFiles(pod, r.address)
	})
	err = g.Wait()
	return r, err
}

// startSandbox leaves the pod's pause container running; id is set too when it was made and did not start. A half-made one of before is made anew: it has nothing to lose.
func (k *kubelet) startSandbox(ctx context.Context, pod *corev1.Pod, have *found, attempt int) (id string, err error) {
	if have != nil && have.state == stateRunning {
		return have.id, nil
	}
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
	if err := k.start(ctx, id); err != nil {
		return id, fmt.Errorf("starting the sandbox: %w", err)
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
func (k *kubelet) connect(ctx context.Context, pod *corev1.Pod, id string) (netip.Addr, error) {
	if pod.Spec.HostNetwork {
		return netip.Addr{}, nil
	}
	cidr := k.podCIDR()
	if !cidr.IsValid() {
		return netip.Addr{}, errNoPodCIDR
	}
	in, err := k.docker.ContainerInspect(ctx, id)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("inspecting the sandbox: %w", err)
	}
	if in.State == nil || in.State.Pid == 0 {
		return netip.Addr{}, errors.New("the sandbox ended at once")
	}
	return k.network.Setup(string(pod.UID), in.State.Pid, cidr, nil)
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
