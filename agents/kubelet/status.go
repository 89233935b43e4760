package kubelet

import (
	"cmp"
	"fmt"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/kubelet/engine"
	"gantry/schema/pods"
)

// facts is what a status has besides what is in the view.
type facts struct {
	problems map[string]problem // by container name
	starting map[string]bool    // containers whose postStart handler runs
	messages map[string]string  // termination messages by container ID
	images   map[string]string  // imageID as the status shows it, by the engine's image ID
	nodeIP   netip.Addr
	podIP    netip.Addr // not valid: none yet
	started  time.Time  // when the kubelet first saw the pod
	pending  pendingResize
	// resizeFault is why a resize in progress is not done.
	resizeFault string
}

// podStatus is the status of the pod as v shows it; what others own (conditions of schedulers and controllers, nominated node,
// resize...) is kept from the pod's last one. Pure.
func podStatus(v view, x facts) corev1.PodStatus {
	pod := v.pod
	switch {
	case v.failure != nil && v.failure.rejected:
		return rejectedStatus(v, x)
	case pods.IsTerminal(pod) && len(v.Containers) == 0 && len(pod.Status.ContainerStatuses) == 0:
		return *pod.Status.DeepCopy() // it ended before anything of it ran: rejected by an earlier kubelet, for instance
	}
	s := *pod.Status.DeepCopy()
	b := &statusBuilder{view: v, facts: x}
	s.InitContainerStatuses, s.ContainerStatuses = nil, nil
	for _, m := range members(pod) {
		c := b.container(m)
		if m.role == roleApp {
			s.ContainerStatuses = append(s.ContainerStatuses, c)
		} else {
			s.InitContainerStatuses = append(s.InitContainerStatuses, c)
		}
	}
	if !pods.IsTerminal(pod) { // a terminal phase never changes, nor does its reason
		s.Phase, s.Reason, s.Message = b.phase(s), "", ""
		if v.failure != nil {
			s.Phase, s.Reason, s.Message = corev1.PodFailed, v.failure.reason, v.failure.message
		}
	}
	if s.QOSClass == "" {
		s.QOSClass = qosClass(pod)
	}
	s.StartTime = startTime(pod, x)
	b.addresses(&s)
	b.conditions(&s)
	s.ObservedGeneration = pod.Generation
	switch {
	case !pods.IsTerminalPhase(s.Phase):
	case b.allStopped():
		endContainers(pod, &s)
	case !pods.IsTerminal(pod):
		// The terminal phase is written when nothing runs: the scheduler then gives what the pod used to others.
		s.Phase, s.Reason, s.Message = cmp.Or(pod.Status.Phase, corev1.PodPending), pod.Status.Reason, pod.Status.Message
	}
	return s
}

// startTime is when the kubelet first saw the pod; once written it never changes.
func startTime(pod *corev1.Pod, x facts) *metav1.Time {
	if pod.Status.StartTime != nil || x.started.IsZero() {
		return pod.Status.StartTime.DeepCopy()
	}
	return &metav1.Time{Time: x.started.Truncate(time.Second)}
}

func (b *statusBuilder) addresses(s *corev1.PodStatus) {
	if b.nodeIP.IsValid() {
		s.HostIP = b.nodeIP.String()
		s.HostIPs = []corev1.HostIP{{IP: s.HostIP}}
	}
	ip := b.podIP
	if b.pod.Spec.HostNetwork && b.Sandbox() != nil {
		ip = b.nodeIP
	}
	if ip.IsValid() {
		s.PodIP = ip.String()
		s.PodIPs = []corev1.PodIP{{IP: s.PodIP}}
	}
}

type statusBuilder struct {
	view
	facts
}

// container is one container's status: the newest attempt's state, the one before as the last state.
func (b *statusBuilder) container(m member) corev1.ContainerStatus {
	old := statusNamed(b.pod, m.Name)
	s := corev1.ContainerStatus{Name: m.Name, Image: m.Image}
	started := false
	s.Started = &started
	list := b.Containers[m.Name]
	if len(list) == 0 {
		b.absent(&s, m, old)
		return s
	}
	cs := list[0]
	s.ContainerID, s.RestartCount = engine.URI(cs.ID), int32(cs.Attempt)
	s.ImageID = b.images[cs.ImageID]
	if s.ImageID == "" {
		s.ImageID = engine.URI(cs.ImageID)
	}
	if cs.Image != "" {
		s.Image = cs.Image
	}
	s.AllocatedResources = m.Resources.Requests.DeepCopy()
	has := m.Resources
	if b.resizing(cs, m) {
		has = b.actuated[cs.ID]
	}
	s.Resources = &corev1.ResourceRequirements{Requests: has.Requests.DeepCopy(), Limits: has.Limits.DeepCopy()}
	if len(list) > 1 && list[1].State == engine.StateExited {
		s.LastTerminationState = b.terminated(list[1])
	} else if old != nil && old.RestartCount == s.RestartCount {
		s.LastTerminationState = *old.LastTerminationState.DeepCopy()
	}
	state := cs.State
	if state == engine.StateRunning && b.starting[m.Name] {
		state = engine.StateCreated
	}
	switch state {
	case engine.StateRunning:
		s.State.Running = &corev1.ContainerStateRunning{StartedAt: seconds(cs.Started)}
		c := b.probes[cs.ID]
		started = c.started
		s.Ready = c.started && c.ready && c.unhealthy == ""
	case engine.StateExited:
		s.State = b.terminated(cs)
		s.Ready = m.role == roleInit && cs.Exit.Code == 0
		if w := b.waiting(m, cs); w != nil {
			s.LastTerminationState, s.State = s.State, corev1.ContainerState{Waiting: w}
		}
	case engine.StateCreated:
		s.State.Waiting = b.notStarted(m)
	}
	if m.role == roleInit && cs.State != engine.StateRunning {
		started = false
	}
	return s
}

// absent is the status of a container that the engine does not have.
func (b *statusBuilder) absent(s *corev1.ContainerStatus, m member, old *corev1.ContainerStatus) {
	if old == nil || old.ContainerID == "" {
		s.State.Waiting = b.notStarted(m)
		return
	}
	s.RestartCount, s.ContainerID, s.ImageID = old.RestartCount, old.ContainerID, old.ImageID
	s.LastTerminationState = *old.LastTerminationState.DeepCopy()
	switch {
	case old.State.Terminated != nil:
		s.State.Terminated = old.State.Terminated.DeepCopy()
		s.Ready = old.Ready
	case b.restartsLost(m):
		s.State.Waiting = b.notStarted(m)
	default:
		s.State.Terminated = lostState()
		s.State.Terminated.ContainerID = old.ContainerID
		if old.State.Running != nil {
			s.State.Terminated.StartedAt = old.State.Running.StartedAt
		}
	}
}

func (b *statusBuilder) restartsLost(m member) bool {
	return !b.ending() && restarts(b.pod.Spec.RestartPolicy, m.role, lostCode)
}

// notStarted is why a container that has not run yet waits.
func (b *statusBuilder) notStarted(m member) *corev1.ContainerStateWaiting {
	if p, ok := b.problems[m.Name]; ok {
		return &corev1.ContainerStateWaiting{Reason: p.reason, Message: p.message}
	}
	if len(b.pod.Spec.InitContainers) > 0 {
		return &corev1.ContainerStateWaiting{Reason: waitInitializing}
	}
	return &corev1.ContainerStateWaiting{Reason: waitCreating}
}

// waiting is why a container that ended is not running again yet; nil: it stays ended, or is about to start.
func (b *statusBuilder) waiting(m member, cs *engine.ContainerStatus) *corev1.ContainerStateWaiting {
	if b.resizeRestarts[cs.ID] && !b.ending() {
		return &corev1.ContainerStateWaiting{Reason: waitCreating}
	}
	if b.ending() || !restarts(b.pod.Spec.RestartPolicy, m.role, cs.Exit.Code) {
		return nil
	}
	if restartAt(cs).After(b.now) {
		return &corev1.ContainerStateWaiting{Reason: waitCrashLoop, Message: crashLoopMessage(b.pod, m.Name, cs.Backoff)}
	}
	if p, ok := b.problems[m.Name]; ok {
		return &corev1.ContainerStateWaiting{Reason: p.reason, Message: p.message}
	}
	return nil
}

// crashLoopMessage is Kubernetes' text: "back-off 10s restarting failed container=web pod=web_default(uid)".
func crashLoopMessage(pod *corev1.Pod, container string, d time.Duration) string {
	return fmt.Sprintf("back-off %s restarting failed container=%s pod=%s", d, container, longName(pod))
}

func (b *statusBuilder) terminated(cs *engine.ContainerStatus) corev1.ContainerState {
	message := cs.Exit.Message
	if m := b.messages[cs.ID]; m != "" {
		message = m
	}
	started := cs.Started
	if started.IsZero() {
		started = cs.Created
	}
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ExitCode: int32(cs.Exit.Code), Reason: cs.Exit.Reason, Message: message,
		StartedAt: seconds(started), FinishedAt: seconds(cs.Exit.Finished), ContainerID: engine.URI(cs.ID),
	}}
}

// seconds cuts a time to what the API keeps, so that a status compares equal after a round trip.
func seconds(t time.Time) metav1.Time {
	if t.IsZero() {
		return metav1.Time{}
	}
	return metav1.Time{Time: t.Truncate(time.Second)}
}
