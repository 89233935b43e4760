package kubelet

import (
	"context"
	"errors"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/podstate"
	"gantry/registry"
	"gantry/schema/core"
)

// verb is what an action does.
type verb int

const (
	doSandbox verb = iota // start the sandbox, or complete it
	doStart               // start a container, pulling its image first
	doResize              // give a running container other resources
	doStop                // stop a container with grace
	doRemove              // remove a container that has ended
	doRelease             // remove the sandbox, its link, the volumes
	doDelete              // remove the pod from the API
	doForget              // remove what is kept of the pod; its worker ends
)

func (v verb) String() string {
	return [...]string{"sandbox", "start", "resize", "stop", "remove", "release", "delete", "forget"}[v]
}

// action is one thing to do and why. Key is what it makes busy.
type action struct {
	do        verb
	key       string          // a container's name, or engine.SandboxName
	container podstate.Member // start, stop
	id        string          // resize, stop, remove
	again     bool            // stop: start it again whatever the restart policy
	attempt   int             // sandbox, start
	early     bool            // start: created while the sandbox is being started
	backoff   time.Duration
	reason    string
}

// deleteKey is the job key of the DELETE; no container can have that name.
const deleteKey = "/delete"

// execute starts the job of an action.
func (w *worker) execute(ctx context.Context, wg *sync.WaitGroup, v podstate.View, a action) {
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
