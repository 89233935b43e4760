package kubelet

import (
	"context"
	"errors"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/engine"
	"gantry/registry"
	"gantry/registry/safely"
	"gantry/schema/core"
)

// Keys of jobs that belong to no container.
const (
	confirmKey = "/confirm"
	statusKey  = "/status"
)

// spawn runs work beside the worker unless a job has the key already. What it returns is applied by the worker; an error is
// logged and the worker steps again after stepRetry.
func (w *worker) spawn(ctx context.Context, wg *sync.WaitGroup, key string, j *job, work func(ctx context.Context) (apply func(), err error)) {
	if w.jobs[key] != nil {
		return
	}
	parent := ctx
	ctx, j.cancel = context.WithCancel(ctx)
	done := make(chan struct{})
	j.done = done
	w.jobs[key] = j
	wg.Go(func() {
		var apply func()
		err := safely.Call(func() (err error) {
			apply, err = work(ctx)
			return err
		})
		close(done)
		finish := func() {
			defer j.cancel()
			if w.jobs[key] == j {
				delete(w.jobs, key)
			}
			if apply != nil {
				safely.Do(w.log, "applying the result of job "+key, apply)
			}
			if err != nil && ctx.Err() == nil {
				w.log.Warn("pod job failed", "job", key, "after", stepRetry, "err", err)
			}
			if err != nil {
				time.AfterFunc(stepRetry, w.wakeUp)
			}
		}
		select {
		case w.results <- finish:
		case <-parent.Done():
			j.cancel()
		}
	})
}

// execute starts the job of an action.
func (w *worker) execute(ctx context.Context, wg *sync.WaitGroup, v view, a action) {
	w.log.Debug("pod action", "do", a.do.String(), "container", a.key, "attempt", a.attempt, "reason", a.reason)
	switch a.do {
	case doSandbox:
		w.spawn(ctx, wg, a.key, &job{do: a.do}, w.sandboxJob(v, a))
	case doStart:
		w.startJob(ctx, wg, v, a)
	case doResize:
		w.spawn(ctx, wg, a.key, &job{do: a.do}, w.resizeJob(a))
	case doStop:
		if a.again {
			w.resizeRestarts[a.id] = true
		}
		w.stopJob(ctx, wg, v, a)
	case doRemove:
		id := a.id
		w.spawn(ctx, wg, a.key, &job{do: a.do}, func(ctx context.Context) (func(), error) {
			if err := w.k.engine.Remove(ctx, id); err != nil {
				return nil, err
			}
			return func() { w.forget(id) }, nil
		})
	case doRelease:
		w.spawn(ctx, wg, a.key, &job{do: a.do}, w.releaseJob(v))
	case doDelete:
		w.spawn(ctx, wg, a.key, &job{do: a.do}, w.deleteJob(w.pod))
	case doForget:
		w.done = true
	}
}

func (w *worker) sandboxJob(v view, a action) func(context.Context) (func(), error) {
	pod, last := v.pod, v.Sandbox()
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
		if err := w.k.makeSandbox(ctx, pod, last, a.attempt, s); err != nil {
			return w.sandboxFailed(ctx, pod, s.id, err), nil
		}
		sandboxSeconds.Observe(time.Since(begin).Seconds())
		return func() {
			w.dirty[s.id] = true
			for id := range w.statuses { // probes of the first containers need the address
				w.dirty[id] = true
			}
			w.addressSandbox, w.address, w.volumes, w.released = s.id, s.address, s.volumes, false
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

func (w *worker) startJob(ctx context.Context, wg *sync.WaitGroup, v view, a action) {
	in := startInput{pod: v.pod, action: a, pulls: &w.pulls, order: w.startOrderOf(a.key)}
	if a.early {
		in.starting = w.startingSandbox
	} else {
		in.sandbox, in.podIP, in.volumes = v.Sandbox().ID, w.address, w.volumes
	}
	if v.pod.Spec.HostNetwork {
		in.podIP = w.k.cfg.NodeIP
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
		w.log.Warn("container not started", "container", a.key, "attempt", a.attempt, "reason", wait.reason, "after", wait.retry, "err", wait.message)
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
			p := wait.problem
			p.since = time.Now()
			w.problems[a.key] = p
			w.waits[a.key] = time.Now().Add(wait.retry)
		}
	}, nil
}

// postStart runs the container's handler; when that fails the container is stopped and its back-off applies.
func (w *worker) postStart(ctx context.Context, in startInput, id string) error {
	c := in.action.container
	fault := w.k.runHook(ctx, c.Lifecycle.PostStart, c.Container, id, in.podIP)
	if fault == nil || ctx.Err() != nil {
		return nil
	}
	w.k.containerEvent(in.pod, c, corev1.EventTypeWarning, "FailedPostStartHook", "PostStartHook failed: %v", fault)
	a := in.action
	a.id, a.reason = id, "FailedPostStartHook"
	if err := w.k.stopContainer(ctx, stopInput{pod: in.pod, action: a, podIP: in.podIP, grace: time.Duration(specGrace(in.pod)) * time.Second}); err != nil {
		return err
	}
	return &waitError{problem{reason: waitHookError, message: "PostStartHook failed: " + fault.Error()}, 0}
}

func (w *worker) stopJob(ctx context.Context, wg *sync.WaitGroup, v view, a action) {
	in := stopInput{pod: v.pod, action: a, podIP: w.address, grace: w.grace(v, a)}
	j := &job{do: doStop, until: v.now.Add(in.grace)}
	w.log.Info("container stopped", "container", a.key, "reason", a.reason, "grace", in.grace)
	w.spawn(ctx, wg, a.key, j, func(ctx context.Context) (func(), error) {
		err := w.k.stopContainer(ctx, in)
		return func() { w.dirty[a.id] = true }, err
	})
}

// grace is how long a container gets to end. A failed probe may name its own.
func (w *worker) grace(v view, a action) time.Duration {
	grace := stopDeadline(v.pod, v.now)
	if v.pod.DeletionTimestamp != nil || v.gone {
		return grace
	}
	var p *corev1.Probe
	switch v.probes[a.id].unhealthy {
	case "liveness":
		p = a.container.LivenessProbe
	case "startup":
		p = a.container.StartupProbe
	}
	if p != nil && p.TerminationGracePeriodSeconds != nil {
		return time.Duration(*p.TerminationGracePeriodSeconds) * time.Second
	}
	return grace
}

// shortenStops stops again what is being stopped with more grace than is left: the pod was deleted again with a shorter one.
func (w *worker) shortenStops(v view) {
	if v.pod.DeletionTimestamp == nil {
		return
	}
	for key, j := range w.jobs {
		if j.do == doStop && j.until.After(v.pod.DeletionTimestamp.Add(time.Second)) {
			j.cancel()
			delete(w.jobs, key)
			w.wakeUp()
		}
	}
}

func (w *worker) releaseJob(v view) func(context.Context) (func(), error) {
	pod, sandboxes := v.pod, v.Sandboxes
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

// deleteRetry is how soon a DELETE that did not lead to the pod's end is repeated.
const deleteRetry = 5 * time.Second

// deleteJob removes the pod from the API once nothing else is left of it.
func (w *worker) deleteJob(pod *corev1.Pod) func(context.Context) (func(), error) {
	return func(ctx context.Context) (func(), error) {
		now := int64(0)
		_, _, err := w.k.cfg.Gateway.Delete(ctx, core.Pod, pod.Namespace, pod.Name, registry.DeleteOptions{GracePeriodSeconds: &now, UID: string(pod.UID)})
		wait := func() { w.waits[deleteKey] = time.Now().Add(deleteRetry) }
		if errors.Is(err, registry.NotFound) || errors.Is(err, registry.Conflict) { // gone, or another pod of that name
			return func() { w.confirm = true; wait() }, nil
		}
		return wait, err
	}
}
