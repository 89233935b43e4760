package kubelet

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/engine"
)

// view is everything a plan looks at. Plans never change it.
type view struct {
	pod *corev1.Pod
	engine.PodStatus
	// gone: a consistent read found no such pod any more.
	gone bool
	// failure is set when the pod must end although nobody deleted it: rejected, past its deadline, evicted.
	failure *failure
	// waitsForRoom: other pods have to leave the node before this one may begin.
	waitsForRoom bool
	// given is what running containers were given last, again holds those that were stopped to start again; by ID.
	given map[string]corev1.ResourceRequirements
	again map[string]bool
	// addressed: the running sandbox has its network.
	addressed bool
	// networkReady: the node has what it takes to give addresses.
	networkReady bool
	// released: the sandbox, the link and the volumes are gone.
	released bool
	// settled: the API has the pod's latest status.
	settled bool
	// busy holds the keys (container names, or engine.SandboxName) that a job works on.
	busy map[string]bool
	// waits says before when a container, or the sandbox, is not to be tried again.
	waits map[string]time.Time
	// checks holds the probes' results by container ID.
	checks map[string]check
	now    time.Time
}

// check is what the probes say of one running container.
type check struct {
	started bool // the startup probe has succeeded, or there is none
	ready   bool // the readiness probe has succeeded, or there is none
	// unhealthy is not empty when the container must be restarted: "liveness" or "startup".
	unhealthy string
}

// verb is what an action does.
type verb int

const (
	doSandbox verb = iota // make the sandbox, or complete it
	doStart               // start a container, pulling its image first
	doResize              // give a running container other resources
	doStop                // stop a container with grace
	doRemove              // remove a dead container
	doRelease             // remove the sandbox, its link, the volumes
	doDelete              // take the pod out of the API
	doForget              // remove what is kept of the pod; its worker ends
)

func (v verb) String() string {
	return [...]string{"sandbox", "start", "resize", "stop", "remove", "release", "delete", "forget"}[v]
}

// action is one thing to do and why. Key is what it makes busy.
type action struct {
	do        verb
	key       string // a container's name, or engine.SandboxName
	container member // start, stop
	id        string // resize, stop, remove
	again     bool   // stop: start it again whatever the restart policy
	attempt   int    // sandbox, start
	early     bool   // start: made beside the sandbox that is begun with it
	backoff   time.Duration
	reason    string
}

// plan decides what to do next with a pod, and after how long to look again though nothing happened (0: not).
func plan(v view) (actions []action, after time.Duration) {
	p := &planner{view: v}
	switch {
	case p.ending():
		p.stop()
	case p.waitsForRoom:
	default:
		p.run()
		p.prune()
	}
	return p.actions, p.after
}

type planner struct {
	view
	actions []action
	after   time.Duration
}

func (p *planner) add(a action) {
	if !p.busy[a.key] {
		p.actions = append(p.actions, a)
	}
}

// wait asks for a look at t and tells whether t is still to come.
func (p *planner) wait(t time.Time) bool {
	d := t.Sub(p.now)
	if d <= 0 {
		return false
	}
	if p.after == 0 || d < p.after {
		p.after = d
	}
	return true
}

// ending tells whether the pod is to have no running container.
func (p *planner) ending() bool {
	return p.gone || p.pod.DeletionTimestamp != nil || p.failure != nil || isTerminal(p.pod) || finished(p.view)
}

// quiet tells whether no container of the pod runs, nor is being started or stopped.
func (p *planner) quiet() bool {
	for _, m := range members(p.pod) {
		if p.busy[m.Name] {
			return false
		}
	}
	return len(p.running()) == 0
}

// stop ends the containers, sidecars last and in reverse; then the sandbox; then the pod.
func (p *planner) stop() {
	running := p.running()
	for _, f := range running {
		if m, ok := memberNamed(p.pod, f.Container); !ok || m.role != roleSidecar {
			p.stopOne(f, "Stopping container "+f.Container)
		}
	}
	if len(running) > 0 && p.onlySidecars(running) {
		p.stopOne(running[len(running)-1], "Stopping container "+running[len(running)-1].Container)
	}
	if len(running) > 0 || len(p.busy) > 0 {
		return
	}
	switch {
	case !p.released:
		if !p.wait(p.waits[engine.SandboxName]) {
			p.add(action{do: doRelease, key: engine.SandboxName, reason: "every container has ended"})
		}
	case p.gone:
		p.clear()
	case p.pod.DeletionTimestamp != nil && p.settled && len(p.pod.Finalizers) == 0 && !p.wait(p.waits[deleteKey]):
		p.add(action{do: doDelete, key: deleteKey, reason: "the pod is deleted and has ended"})
	}
}

// deleteKey is the job key of the DELETE; no container can have that name.
const deleteKey = "/delete"

// clear removes what a gone pod left.
func (p *planner) clear() {
	for _, list := range p.Containers {
		for _, f := range list {
			p.add(action{do: doRemove, key: f.Container, id: f.ID, reason: "the pod is gone"})
		}
	}
	if len(p.Containers) == 0 && len(p.Sandboxes) == 0 {
		p.add(action{do: doForget, key: engine.SandboxName, reason: "the pod is gone"})
	}
}

// running are the containers that run, in the order of the pod's spec; unknown ones first.
func (p *planner) running() []*engine.ContainerStatus {
	order := map[string]int{}
	for i, m := range members(p.pod) {
		order[m.Name] = i + 1
	}
	var all []*engine.ContainerStatus
	for _, list := range p.Containers {
		for _, f := range list {
			if f.State == engine.StateRunning {
				all = append(all, f)
			}
		}
	}
	slices.SortFunc(all, func(a, b *engine.ContainerStatus) int {
		if d := order[a.Container] - order[b.Container]; d != 0 {
			return d
		}
		return engine.NewestFirst(a, b)
	})
	return all
}

func (p *planner) onlySidecars(all []*engine.ContainerStatus) bool {
	for _, f := range all {
		if m, ok := memberNamed(p.pod, f.Container); !ok || m.role != roleSidecar {
			return false
		}
	}
	return true
}

func (p *planner) stopOne(f *engine.ContainerStatus, reason string) {
	m, ok := memberNamed(p.pod, f.Container)
	if !ok {
		m = member{&corev1.Container{Name: f.Container}, roleApp}
	}
	p.add(action{do: doStop, key: f.Container, container: m, id: f.ID, reason: reason})
}

// run brings the pod's sandbox and containers up.
func (p *planner) run() {
	box := p.Sandbox()
	if box == nil || box.State != engine.StateRunning || !p.addressed {
		p.makeSandbox(box)
		return
	}
	initialized := p.initialized(box)
	for _, m := range members(p.pod) {
		switch m.role {
		case roleInit:
			if !initialized && !p.initStep(box, m) {
				return
			}
		case roleSidecar:
			if !p.keepUp(box, m) && !initialized {
				return
			}
		case roleApp:
			p.keepUp(box, m)
		}
	}
}

// makeSandbox asks for a sandbox once nothing runs in the last one any more. A sandbox that died takes its pod's containers with
// it: they would have no network.
func (p *planner) makeSandbox(box *engine.ContainerStatus) {
	if p.busy[engine.SandboxName] { // its first container may be seen before it
		return
	}
	attempt := 0
	if box != nil {
		attempt = box.Attempt
		if box.State == engine.StateExited {
			attempt++
		}
	}
	dead := box == nil || box.State != engine.StateRunning
	running := p.running()
	if dead {
		for _, f := range running {
			p.stopOne(f, "Pod sandbox changed, it will be killed and re-created.")
		}
	}
	if dead && len(running) > 0 || len(p.busy) > 0 || p.wait(p.waits[engine.SandboxName]) {
		return
	}
	if !p.networkReady && !p.pod.Spec.HostNetwork {
		p.wait(p.now.Add(networkRetry))
		return
	}
	reason := "the pod has no sandbox"
	if box != nil {
		reason = "the pod's sandbox is not complete"
	}
	p.add(action{do: doSandbox, key: engine.SandboxName, attempt: attempt, reason: reason})
	if box == nil && len(p.Containers) == 0 {
		p.startEarly()
	}
}

// startEarly begins a new pod's first containers together with its sandbox: most of what they take needs no running sandbox.
func (p *planner) startEarly() {
	for _, m := range members(p.pod) {
		if _, lost := lostExit(p.pod, m.Name); !lost && !p.wait(p.waits[m.Name]) {
			p.add(action{do: doStart, key: m.Name, container: m, early: true, reason: "the pod is new"})
		}
		if m.role != roleApp { // what follows waits for it
			return
		}
	}
}

// networkRetry is how soon a pod looks again whether the node has its podCIDR; it is also woken by it.
const networkRetry = 5 * time.Second

// initialized tells whether the pod's apps were let start in this sandbox: then its init containers are done, even if
// someone removed them.
func (p *planner) initialized(box *engine.ContainerStatus) bool {
	for i := range p.pod.Spec.Containers {
		if f := p.Latest(p.pod.Spec.Containers[i].Name); f != nil && f.SandboxID == box.ID && !f.Started.IsZero() {
			return true
		}
	}
	return false
}

// initStep moves an init container on; true once it has succeeded.
func (p *planner) initStep(box *engine.ContainerStatus, m member) bool {
	f := p.Latest(m.Name)
	switch {
	case f == nil || f.SandboxID != box.ID || f.State == engine.StateCreated:
		p.start(m, f, "the init container has not run")
	case f.State == engine.StateRunning:
	case f.Exit.Code == 0:
		return true
	case restarts(p.pod.Spec.RestartPolicy, roleInit, f.Exit.Code) && !p.wait(restartAt(f)):
		p.start(m, f, "the init container failed")
	}
	return false
}

// keepUp keeps an app or a sidecar running; true while it runs and is started, its postStart handler over.
func (p *planner) keepUp(box *engine.ContainerStatus, m member) bool {
	f := p.Latest(m.Name)
	switch {
	case f == nil:
		if code, lost := lostExit(p.pod, m.Name); !lost || restarts(p.pod.Spec.RestartPolicy, m.role, code) {
			p.start(m, f, "the container has not run")
		}
	case f.State == engine.StateCreated:
		p.start(m, f, "the container was not started")
	case f.State == engine.StateExited:
		if p.again[f.ID] {
			p.start(m, f, "the container was resized")
		} else if restarts(p.pod.Spec.RestartPolicy, m.role, f.Exit.Code) && !p.wait(restartAt(f)) {
			p.start(m, f, fmt.Sprintf("the container ended with %d", f.Exit.Code))
		}
	case f.SandboxID != box.ID:
		p.stopOne(f, "Pod sandbox changed, it will be killed and re-created.")
	case f.SpecChanged(m.Container):
		p.stopOne(f, fmt.Sprintf("Container %s definition changed, will be restarted", m.Name))
	case p.checks[f.ID].unhealthy != "":
		p.stopOne(f, fmt.Sprintf("Container %s failed %s probe, will be restarted", m.Name, p.checks[f.ID].unhealthy))
	default:
		if p.resizing(f, m) {
			p.resize(f, m)
		}
		return p.checks[f.ID].started && !p.busy[m.Name]
	}
	return false
}

// start asks for the attempt after last (nil: none is there). A container that was made and never started is the same attempt.
func (p *planner) start(m member, last *engine.ContainerStatus, reason string) {
	if p.wait(p.waits[m.Name]) {
		return
	}
	a := action{do: doStart, key: m.Name, container: m, reason: reason}
	switch {
	case last == nil:
		if s := statusNamed(p.pod, m.Name); s != nil && s.ContainerID != "" {
			a.attempt = int(s.RestartCount) + 1 // someone removed it
		}
	case last.State == engine.StateCreated:
		a.attempt, a.backoff = last.Attempt, last.Backoff
	case p.again[last.ID]:
		a.attempt, a.backoff = last.Attempt+1, last.Backoff
	default:
		a.attempt, a.backoff = last.Attempt+1, nextBackoff(last)
	}
	p.add(a)
}

// prune removes old attempts: of every container the newest stays, and one dead one for `logs --previous`.
func (p *planner) prune() {
	for _, m := range members(p.pod) {
		list := p.Containers[m.Name]
		keep := 1
		if len(list) > 0 && list[0].State != engine.StateExited {
			keep = 2
		}
		for _, f := range list[min(keep, len(list)):] {
			if f.State != engine.StateRunning {
				p.add(action{do: doRemove, key: m.Name + "/old", id: f.ID, reason: "a newer attempt is there"})
				break // one at a time: the key is busy then
			}
			p.stopOne(f, "a newer attempt is there")
		}
	}
	if box := p.Sandbox(); box != nil && box.State == engine.StateRunning {
		for _, f := range p.Sandboxes[1:] {
			p.add(action{do: doRemove, key: engine.SandboxName + "/old", id: f.ID, reason: "a newer sandbox is there"})
			break
		}
	}
}
