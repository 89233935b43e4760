package kubelet

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/engine"
	"gantry/agents/kubelet/images"
	"gantry/agents/kubelet/podstate"
	"gantry/agents/kubelet/podstatus"
	"gantry/agents/kubelet/volumes"
)

// startInput is what a start needs of its pod.
type startInput struct {
	pod      *corev1.Pod
	action   action
	starting *sandboxStart // of an early start: sandbox, podIPs and volumes come from it
	sandbox  string        // ID
	target   string        // ID of the container whose processes it sees; "": none
	podIPs   []netip.Addr
	volumes  map[string]volumes.Mounted // nil: mount them first
	// volumeImages are the images of the volumes that the container mounts.
	volumeImages map[string]*engine.Image
	pulls        *images.Backoff
	order        startOrder
}

// untilCreatable waits until the container can be created in its sandbox, and in its order.
func (in *startInput) untilCreatable(ctx context.Context) error {
	if in.starting != nil {
		if err := in.starting.await(ctx, in.starting.created); err != nil {
			return err
		}
		in.sandbox, in.volumes = in.starting.id, in.starting.volumes
		if !in.pod.Spec.HostNetwork {
			in.podIPs = in.starting.addresses
		}
	}
	return in.order.untilCreate(ctx)
}

// untilReady waits until its sandbox is complete.
func (in *startInput) untilReady(ctx context.Context) error {
	if in.starting == nil {
		return nil
	}
	return in.starting.await(ctx, in.starting.done)
}

// untilStartable waits until the container can be started.
func (in *startInput) untilStartable(ctx context.Context) error {
	if err := in.untilReady(ctx); err != nil {
		return err
	}
	return in.order.untilStart(ctx)
}

// startRetry is how soon a start that met a temporary fault (a config map not there yet) is tried again.
const startRetry = 10 * time.Second

// startContainer starts one attempt of a container: image, volumes, environment, create, start, postStart. The error is a
// *waitError where it concerns the container, errNoSandbox where the sandbox that is started meanwhile fails, else the engine's.
func (k *kubelet) startContainer(ctx context.Context, in *startInput) (id string, image *engine.Image, err error) {
	c := in.action.container
	image, err = k.ensureImage(ctx, in, k.ownImage(in))
	if err == nil {
		err = k.ensureVolumeImages(ctx, in)
	}
	if err == nil {
		err = in.untilCreatable(ctx)
	}
	if err != nil {
		return "", image, err
	}
	cfg, err := k.configure(ctx, *in, image)
	reason := podstatus.WaitConfigError
	if err == nil {
		id, err = k.engine.CreateContainer(ctx, cfg)
		if errors.Is(err, engine.ErrUnreachable) {
			return "", image, err
		}
		if !errors.Is(err, engine.ErrConfig) {
			reason = podstatus.WaitCreateError
		}
	}
	if err != nil {
		k.containerEvent(in.pod, c, corev1.EventTypeWarning, "Failed", "Error: %v", err)
		return "", image, &waitError{podstatus.Problem{Reason: reason, Message: err.Error()}, startRetry}
	}
	k.containerEvent(in.pod, c, corev1.EventTypeNormal, "Created", "Created container: %s", c.Name)
	if err := in.untilStartable(ctx); err != nil {
		return id, image, err
	}
	if err := k.engine.Start(ctx, id); err != nil {
		if errors.Is(err, engine.ErrUnreachable) {
			return id, image, err
		}
		k.containerEvent(in.pod, c, corev1.EventTypeWarning, "Failed", "Error: %v", err)
		return id, image, &waitError{podstatus.Problem{Reason: podstatus.WaitRunError, Message: err.Error()}, 0} // the attempt counts: its back-off applies
	}
	k.containerEvent(in.pod, c, corev1.EventTypeNormal, "Started", "Started container %s", c.Name)
	return id, image, nil
}

// isTransient tells errors that say nothing of the container: the engine is away or the kubelet ends.
func isTransient(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, engine.ErrUnreachable) || errors.Is(err, engine.ErrUnavailable)
}

func (w *worker) startJob(ctx context.Context, wg *sync.WaitGroup, v podstate.View, a action) {
	in := startInput{pod: v.Pod, action: a, pulls: &w.pulls, order: w.startOrderOf(a.key)}
	if a.early {
		in.starting = w.startingSandbox
	} else {
		in.sandbox, in.podIPs, in.volumes = v.Sandbox().ID, w.addresses, w.volumes
	}
	if cs := v.Latest(podstate.TargetOf(v.Pod, a.key)); cs != nil && cs.State != engine.StateCreated {
		in.target = cs.ID
	}
	if v.Pod.Spec.HostNetwork {
		in.podIPs = w.k.cfg.NodeIPs
	}
	last := v.Latest(a.key)
	if last != nil && last.State == engine.StateExited && !last.Started.IsZero() {
		w.log.Info("container restarted", "container", a.key, "attempt", a.attempt, "reason", a.reason)
	}
	hook := a.container.Lifecycle
	j := &job{do: doStart, hooked: hook != nil && hook.PostStart != nil}
	w.spawn(ctx, wg, a.key, j, func(ctx context.Context) (func(), error) {
		id, image, err := w.k.startContainer(ctx, &in)
		if err == nil && j.hooked {
			err = w.postStart(ctx, in, id)
		}
		return w.started(ctx, a, id, image, err)
	})
}

// started returns how the worker applies the result of a start.
func (w *worker) started(ctx context.Context, a action, id string, image *engine.Image, err error) (func(), error) {
	var wait *waitError
	if errors.Is(err, errNoSandbox) { // the sandbox's job has reported it
		return func() {
			if id != "" {
				w.dirty[id] = true
			}
		}, nil
	}
	if err != nil && !errors.As(err, &wait) {
		return func() {
			if id != "" {
				w.dirty[id] = true
			}
			w.waits[a.key] = time.Now().Add(stepRetry)
		}, err
	}
	if wait != nil && ctx.Err() == nil {
		w.log.Warn("container not started", "container", a.key, "attempt", a.attempt, "reason", wait.Reason, "after", wait.retry, "err", wait.Message)
	}
	return func() {
		if id != "" {
			w.dirty[id] = true
			w.actuated[id] = a.container.Resources
		}
		if image != nil {
			w.images[image.ID] = image.StatusID()
		}
		delete(w.problems, a.key)
		delete(w.waits, a.key)
		if wait != nil {
			p := wait.Problem
			p.Since = time.Now()
			w.problems[a.key] = p
			w.waits[a.key] = time.Now().Add(wait.retry)
		}
	}, nil
}

// postStart runs the container's handler; when that fails the container is stopped and its back-off applies.
func (w *worker) postStart(ctx context.Context, in startInput, id string) error {
	c := in.action.container
	fault := w.k.runner.Handle(ctx, c.Lifecycle.PostStart, c.Container, id, first(in.podIPs))
	if fault == nil || ctx.Err() != nil {
		return nil
	}
	w.k.containerEvent(in.pod, c, corev1.EventTypeWarning, "FailedPostStartHook", "PostStartHook failed: %v", fault)
	a := in.action
	a.id, a.reason = id, "FailedPostStartHook"
	if err := w.k.stopContainer(ctx, stopInput{pod: in.pod, action: a, podIP: first(in.podIPs), grace: time.Duration(podstate.SpecGrace(in.pod)) * time.Second}); err != nil {
		return err
	}
	return &waitError{podstatus.Problem{Reason: podstatus.WaitHookError, Message: "PostStartHook failed: " + fault.Error()}, 0}
}
