package kubelet

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/engine"
	"gantry/schema/pods"
)

// view is everything a plan is made from. Plans never change it.
type view struct {
	pod *corev1.Pod
	engine.PodStatus
	// gone: a consistent read found no such pod any more.
	gone bool
	// failure is set when the pod must end although it was not deleted: rejected, past its deadline, evicted.
	failure *failure
	// waitsForResources: other pods have to end before this one may begin.
	waitsForResources bool
	// actuated are the resources that running containers were given last; resizeRestarts holds those that were stopped to start again
	// with others. By ID.
	actuated       map[string]corev1.ResourceRequirements
	resizeRestarts map[string]bool
	// addressed: the running sandbox has its network.
	addressed bool
	// networkReady: the node can give addresses.
	networkReady bool
	// released: the sandbox, the link and the volumes are gone.
	released bool
	// settled: the API has the pod's latest status.
	settled bool
	// busy holds the keys (container names, or engine.SandboxName) that a job works on.
	busy map[string]bool
	// waits says when a container, or the sandbox, may be tried again.
	waits map[string]time.Time
	// probes holds the probes' results by container ID.
	probes map[string]probeResults
	now    time.Time
}

// probeResults are those of one running container.
type probeResults struct {
	started bool // the startup probe has succeeded, or there is none
	ready   bool // the readiness probe has succeeded, or there is none
	// unhealthy is not empty when the container must be restarted: "liveness" or "startup".
	unhealthy string
}

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
	key       string // a container's name, or engine.SandboxName
	container member // start, stop
	id        string // resize, stop, remove
	again     bool   // stop: start it again whatever the restart policy
	attempt   int    // sandbox, start
	early     bool   // start: created while the sandbox is being started
	backoff   time.Duration
	reason    string
}

// plan decides what to do next with a pod, and after how long to plan again though nothing happened (0: not).
func plan(v view) (actions []action, after time.Duration) {
	p := &planner{view: v}
	switch {
	case p.ending():
		p.stop()
	case p.waitsForResources:
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

// wait asks for a plan at t and tells whether t is still to come.
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
	return p.gone || p.pod.DeletionTimestamp != nil || p.failure != nil || pods.IsTerminal(p.pod) || finished(p.view)
}

// allStopped tells whether no container of the pod runs, nor is being started or stopped.
func (p *planner) allStopped() bool {
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
	for _, cs := range running {
		if m, ok := memberNamed(p.pod, cs.Container); !ok || m.role != roleSidecar {
			p.stopOne(cs, "Stopping container "+cs.Container)
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
		p.removeContainers()
	case p.pod.DeletionTimestamp != nil && p.settled && len(p.pod.Finalizers) == 0 && !p.wait(p.waits[deleteKey]):
		p.add(action{do: doDelete, key: deleteKey, reason: "the pod is deleted and has ended"})
	}
}

// deleteKey is the job key of the DELETE; no container can have that name.
const deleteKey = "/delete"

// removeContainers removes what is left of a pod that is gone.
func (p *planner) removeContainers() {
	for _, list := range p.Containers {
		for _, cs := range list {
			p.add(action{do: doRemove, key: cs.Container, id: cs.ID, reason: "the pod is gone"})
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
		for _, cs := range list {
			if cs.State == engine.StateRunning {
				all = append(all, cs)
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
	for _, cs := range all {
		if m, ok := memberNamed(p.pod, cs.Container); !ok || m.role != roleSidecar {
			return false
		}
	}
	return true
}

func (p *planner) stopOne(cs *engine.ContainerStatus, reason string) {
	m, ok := memberNamed(p.pod, cs.Container)
	if !ok {
		m = member{&corev1.Container{Name: cs.Container}, roleApp}
	}
	p.add(action{do: doStop, key: cs.Container, container: m, id: cs.ID, reason: reason})
}

// run starts the pod's sandbox and containers.
func (p *planner) run() {
	sandbox := p.Sandbox()
	if sandbox == nil || sandbox.State != engine.StateRunning || !p.addressed {
		p.makeSandbox(sandbox)
		return
	}
	initialized := p.initialized(sandbox)
	for _, m := range members(p.pod) {
		switch m.role {
		case roleInit:
			if !initialized && !p.runInit(sandbox, m) {
				return
			}
		case roleSidecar:
			if !p.keepRunning(sandbox, m) && !initialized {
				return
			}
		case roleApp:
			p.keepRunning(sandbox, m)
		}
	}
}

// makeSandbox asks for a sandbox once nothing runs in the last one any more. When a sandbox has ended its pod's containers are stopped:
// they have no network.
func (p *planner) makeSandbox(sandbox *engine.ContainerStatus) {
	if p.busy[engine.SandboxName] { // its first container may be seen before it
		return
	}
	attempt := 0
	if sandbox != nil {
		attempt = sandbox.Attempt
		if sandbox.State == engine.StateExited {
			attempt++
		}
	}
	ended := sandbox == nil || sandbox.State != engine.StateRunning
	running := p.running()
	if ended {
		for _, cs := range running {
			p.stopOne(cs, "Pod sandbox changed, it will be killed and re-created.")
		}
	}
	if ended && len(running) > 0 || len(p.busy) > 0 || p.wait(p.waits[engine.SandboxName]) {
		return
	}
	if !p.networkReady && !p.pod.Spec.HostNetwork {
		p.wait(p.now.Add(networkRetry))
		return
	}
	reason := "the pod has no sandbox"
	if sandbox != nil {
		reason = "the pod's sandbox is not complete"
	}
	p.add(action{do: doSandbox, key: engine.SandboxName, attempt: attempt, reason: reason})
	if sandbox == nil && len(p.Containers) == 0 {
		p.startEarly()
	}
}

// startEarly starts a new pod's first containers together with its sandbox: most of a start needs no running sandbox.
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

// networkRetry is how soon a pod checks again whether the node has its podCIDR; it is also woken by it.
const networkRetry = 5 * time.Second

// initialized tells whether an app of the pod has started in this sandbox: then its init containers are done, even if
// they were removed since.
func (p *planner) initialized(sandbox *engine.ContainerStatus) bool {
	for i := range p.pod.Spec.Containers {
		if cs := p.Latest(p.pod.Spec.Containers[i].Name); cs != nil && cs.SandboxID == sandbox.ID && !cs.Started.IsZero() {
			return true
		}
	}
	return false
}

// runInit runs an init container; true once it has succeeded.
func (p *planner) runInit(sandbox *engine.ContainerStatus, m member) bool {
	cs := p.Latest(m.Name)
	switch {
	case cs == nil || cs.SandboxID != sandbox.ID || cs.State == engine.StateCreated:
		p.start(m, cs, "the init container has not run")
	case cs.State == engine.StateRunning:
	case cs.Exit.Code == 0:
		return true
	case restarts(p.pod.Spec.RestartPolicy, roleInit, cs.Exit.Code) && !p.wait(restartAt(cs)):
		p.start(m, cs, "the init container failed")
	}
	return false
}

// keepRunning keeps an app or a sidecar running; true while it runs and is started, its postStart handler done.
func (p *planner) keepRunning(sandbox *engine.ContainerStatus, m member) bool {
	cs := p.Latest(m.Name)
	switch {
	case cs == nil:
		if code, lost := lostExit(p.pod, m.Name); !lost || restarts(p.pod.Spec.RestartPolicy, m.role, code) {
			p.start(m, cs, "the container has not run")
		}
	case cs.State == engine.StateCreated:
		p.start(m, cs, "the container was not started")
	case cs.State == engine.StateExited:
		if p.resizeRestarts[cs.ID] {
			p.start(m, cs, "the container was resized")
		} else if restarts(p.pod.Spec.RestartPolicy, m.role, cs.Exit.Code) && !p.wait(restartAt(cs)) {
			p.start(m, cs, fmt.Sprintf("the container ended with %d", cs.Exit.Code))
		}
	case cs.SandboxID != sandbox.ID:
		p.stopOne(cs, "Pod sandbox changed, it will be killed and re-created.")
	case cs.SpecChanged(m.Container):
		p.stopOne(cs, fmt.Sprintf("Container %s definition changed, will be restarted", m.Name))
	case p.probes[cs.ID].unhealthy != "":
		p.stopOne(cs, fmt.Sprintf("Container %s failed %s probe, will be restarted", m.Name, p.probes[cs.ID].unhealthy))
	default:
		if p.resizing(cs, m) {
			p.resize(cs, m)
		}
		return p.probes[cs.ID].started && !p.busy[m.Name]
	}
	return false
}

// start asks for the attempt after last (nil: none is there). A container that was created and never started is the same attempt.
func (p *planner) start(m member, last *engine.ContainerStatus, reason string) {
	if p.wait(p.waits[m.Name]) {
		return
	}
	a := action{do: doStart, key: m.Name, container: m, reason: reason}
	switch {
	case last == nil:
		if s := statusNamed(p.pod, m.Name); s != nil && s.ContainerID != "" {
			a.attempt = int(s.RestartCount) + 1 // the container was removed
		}
	case last.State == engine.StateCreated:
		a.attempt, a.backoff = last.Attempt, last.Backoff
	case p.resizeRestarts[last.ID]:
		a.attempt, a.backoff = last.Attempt+1, last.Backoff
	default:
		a.attempt, a.backoff = last.Attempt+1, nextBackoff(last)
	}
	p.add(a)
}

// prune removes old attempts: of every container the newest stays, and one that has ended for `logs --previous`.
func (p *planner) prune() {
	for _, m := range members(p.pod) {
		list := p.Containers[m.Name]
		keep := 1
		if len(list) > 0 && list[0].State != engine.StateExited {
			keep = 2
		}
		for _, cs := range list[min(keep, len(list)):] {
			if cs.State != engine.StateRunning {
				p.add(action{do: doRemove, key: m.Name + "/old", id: cs.ID, reason: "a newer attempt is there"})
				break // one at a time: the key is busy then
			}
			p.stopOne(cs, "a newer attempt is there")
		}
	}
	if sandbox := p.Sandbox(); sandbox != nil && sandbox.State == engine.StateRunning {
		for _, cs := range p.Sandboxes[1:] {
			p.add(action{do: doRemove, key: engine.SandboxName + "/old", id: cs.ID, reason: "a newer sandbox is there"})
			break
		}
	}
}
