package kubelet

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/engine"
	"gantry/agents/kubelet/podstate"
)

// plan decides what to do next with a pod, and after how long to plan again though nothing happened (0: not).
func plan(v podstate.View) (actions []action, after time.Duration) {
	p := &planner{View: v}
	switch {
	case p.Ending():
		p.stop()
	case p.WaitsForResources:
	default:
		p.run()
		p.prune()
	}
	return p.actions, p.after
}

type planner struct {
	podstate.View
	actions []action
	after   time.Duration
}

func (p *planner) add(a action) {
	if !p.Busy[a.key] {
		p.actions = append(p.actions, a)
	}
}

// wait asks for a plan at t and tells whether t is still to come.
func (p *planner) wait(t time.Time) bool {
	d := t.Sub(p.Now)
	if d <= 0 {
		return false
	}
	if p.after == 0 || d < p.after {
		p.after = d
	}
	return true
}

// stop ends the containers, sidecars last and in reverse; then the sandbox; then the pod.
func (p *planner) stop() {
	running := p.Running()
	for _, cs := range running {
		if m, ok := podstate.MemberNamed(p.Pod, cs.Container); !ok || m.Role != podstate.RoleSidecar {
			p.stopOne(cs, "Stopping container "+cs.Container)
		}
	}
	if len(running) > 0 && p.onlySidecars(running) {
		p.stopOne(running[len(running)-1], "Stopping container "+running[len(running)-1].Container)
	}
	if len(running) > 0 || len(p.Busy) > 0 {
		return
	}
	switch {
	case !p.Released:
		if !p.wait(p.Waits[engine.SandboxName]) {
			p.add(action{do: doRelease, key: engine.SandboxName, reason: "every container has ended"})
		}
	case p.Gone:
		p.removeContainers()
	case p.Pod.DeletionTimestamp != nil && p.Settled && len(p.Pod.Finalizers) == 0 && !p.wait(p.Waits[deleteKey]):
		p.add(action{do: doDelete, key: deleteKey, reason: "the pod is deleted and has ended"})
	}
}

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

func (p *planner) onlySidecars(all []*engine.ContainerStatus) bool {
	for _, cs := range all {
		if m, ok := podstate.MemberNamed(p.Pod, cs.Container); !ok || m.Role != podstate.RoleSidecar {
			return false
		}
	}
	return true
}

func (p *planner) stopOne(cs *engine.ContainerStatus, reason string) {
	m, ok := podstate.MemberNamed(p.Pod, cs.Container)
	if !ok {
		m = podstate.Member{Container: &corev1.Container{Name: cs.Container}, Role: podstate.RoleApp}
	}
	p.add(action{do: doStop, key: cs.Container, container: m, id: cs.ID, reason: reason})
}

// run starts the pod's sandbox and containers.
func (p *planner) run() {
	sandbox := p.Sandbox()
	if sandbox == nil || sandbox.State != engine.StateRunning || !p.Addressed {
		p.makeSandbox(sandbox)
		return
	}
	for _, m := range podstate.Ephemeral(p.Pod) { // before init containers: what is wrong with those may be what somebody looks for
		p.keepRunning(sandbox, m)
	}
	initialized := p.initialized(sandbox)
	for _, m := range podstate.Members(p.Pod) {
		switch m.Role {
		case podstate.RoleInit:
			if !initialized && !p.runInit(sandbox, m) {
				return
			}
		case podstate.RoleSidecar:
			if !p.keepRunning(sandbox, m) && !initialized {
				return
			}
		case podstate.RoleApp:
			p.keepRunning(sandbox, m)
		}
	}
}

// makeSandbox asks for a sandbox once nothing runs in the last one any more. When a sandbox has ended its pod's containers are stopped:
// they have no network.
func (p *planner) makeSandbox(sandbox *engine.ContainerStatus) {
	if p.Busy[engine.SandboxName] { // its first container may be seen before it
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
	running := p.Running()
	if ended {
		for _, cs := range running {
			p.stopOne(cs, "Pod sandbox changed, it will be killed and re-created.")
		}
	}
	if ended && len(running) > 0 || len(p.Busy) > 0 || p.wait(p.Waits[engine.SandboxName]) {
		return
	}
	if !p.NetworkReady && !p.Pod.Spec.HostNetwork {
		p.wait(p.Now.Add(networkRetry))
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
	for _, m := range podstate.Members(p.Pod) {
		if _, lost := podstate.LostExit(p.Pod, m.Name); !lost && !p.wait(p.Waits[m.Name]) {
			p.add(action{do: doStart, key: m.Name, container: m, early: true, reason: "the pod is new"})
		}
		if m.Role != podstate.RoleApp { // what follows waits for it
			return
		}
	}
}

// networkRetry is how soon a pod checks again whether the node has its podCIDR; it is also woken by it.
const networkRetry = 5 * time.Second

// initialized tells whether an app of the pod has started in this sandbox: then its init containers are done, even if
// they were removed since.
func (p *planner) initialized(sandbox *engine.ContainerStatus) bool {
	for i := range p.Pod.Spec.Containers {
		if cs := p.Latest(p.Pod.Spec.Containers[i].Name); cs != nil && cs.SandboxID == sandbox.ID && !cs.Started.IsZero() {
			return true
		}
	}
	return false
}

// runInit runs an init container; true once it has succeeded.
func (p *planner) runInit(sandbox *engine.ContainerStatus, m podstate.Member) bool {
	cs := p.Latest(m.Name)
	switch {
	case cs == nil || cs.SandboxID != sandbox.ID || cs.State == engine.StateCreated:
		p.start(m, cs, "the init container has not run")
	case cs.State == engine.StateRunning:
	case cs.Exit.Code == 0:
		return true
	case podstate.Restarts(p.Pod.Spec.RestartPolicy, podstate.RoleInit, cs.Exit.Code) && !p.wait(podstate.RestartAt(cs)):
		p.start(m, cs, "the init container failed")
	}
	return false
}

// keepRunning keeps an app, a sidecar or an ephemeral container running; true while it runs and is started, its postStart handler done.
func (p *planner) keepRunning(sandbox *engine.ContainerStatus, m podstate.Member) bool {
	cs := p.Latest(m.Name)
	switch {
	case cs == nil:
		if code, lost := podstate.LostExit(p.Pod, m.Name); !lost || podstate.Restarts(p.Pod.Spec.RestartPolicy, m.Role, code) {
			p.start(m, cs, "the container has not run")
		}
	case cs.State == engine.StateCreated:
		p.start(m, cs, "the container was not started")
	case cs.State == engine.StateExited:
		if p.ResizeRestarts[cs.ID] {
			p.start(m, cs, "the container was resized")
		} else if podstate.Restarts(p.Pod.Spec.RestartPolicy, m.Role, cs.Exit.Code) && !p.wait(podstate.RestartAt(cs)) {
			p.start(m, cs, fmt.Sprintf("the container ended with %d", cs.Exit.Code))
		}
	case cs.SandboxID != sandbox.ID:
		p.stopOne(cs, "Pod sandbox changed, it will be killed and re-created.")
	case cs.SpecChanged(m.Container):
		p.stopOne(cs, fmt.Sprintf("Container %s definition changed, will be restarted", m.Name))
	case p.Probes[cs.ID].Unhealthy != "":
		p.stopOne(cs, fmt.Sprintf("Container %s failed %s probe, will be restarted", m.Name, p.Probes[cs.ID].Unhealthy))
	default:
		if p.Resizing(cs, m) {
			p.resize(cs, m)
		}
		return p.Probes[cs.ID].Started && !p.Busy[m.Name]
	}
	return false
}

// start asks for the attempt after last (nil: none is there). A container that was created and never started is the same attempt.
func (p *planner) start(m podstate.Member, last *engine.ContainerStatus, reason string) {
	if p.wait(p.Waits[m.Name]) {
		return
	}
	a := action{do: doStart, key: m.Name, container: m, reason: reason}
	switch {
	case last == nil:
		if s := podstate.StatusNamed(p.Pod, m.Name); s != nil && s.ContainerID != "" {
			a.attempt = int(s.RestartCount) + 1 // the container was removed
		}
	case last.State == engine.StateCreated:
		a.attempt, a.backoff = last.Attempt, last.Backoff
	case p.ResizeRestarts[last.ID]:
		a.attempt, a.backoff = last.Attempt+1, last.Backoff
	default:
		a.attempt, a.backoff = last.Attempt+1, podstate.NextBackoff(last)
	}
	p.add(a)
}

// prune removes old attempts: of every container the newest stays, and one that has ended for `logs --previous`.
func (p *planner) prune() {
	for _, m := range podstate.Members(p.Pod) {
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
