// Package podstatus makes a pod's status from what the kubelet knows: phase, conditions, the statuses of its containers. All of it is pure.
package podstatus

import (
	"cmp"
	"fmt"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/kubelet/allocation"
	"gantry/agents/kubelet/engine"
	"gantry/agents/kubelet/podstate"
	"gantry/schema/pods"
)

// Facts is what a status has besides what is in the view.
type Facts struct {
	Problems map[string]Problem // by container name
	Starting map[string]bool    // containers whose postStart handler runs
	Messages map[string]string  // termination messages by container ID
	Images   map[string]string  // imageID as the status shows it, by the engine's image ID
	NodeIPs  []netip.Addr
	PodIPs   []netip.Addr // none yet: empty
	Started  time.Time    // when the kubelet first saw the pod
	Pending  allocation.PendingResize
	// ResizeFault is why a resize in progress is not done.
	ResizeFault string
}

// Of is the status of the pod as v shows it; what others own (conditions of schedulers and controllers, nominated node,
// resize...) is kept from the pod's last one. Pure.
func Of(v podstate.View, x Facts) corev1.PodStatus {
	pod := v.Pod
	switch {
	case v.Failure != nil && v.Failure.Rejected:
		return rejectedStatus(v, x)
	case pods.IsTerminal(pod) && len(v.Containers) == 0 && len(pod.Status.ContainerStatuses) == 0:
		return *pod.Status.DeepCopy() // it ended before anything of it ran: rejected by an earlier kubelet, for instance
	}
	s := *pod.Status.DeepCopy()
	b := &statusBuilder{View: v, Facts: x}
	s.InitContainerStatuses, s.ContainerStatuses = nil, nil
	s.EphemeralContainerStatuses = nil
	for _, m := range podstate.Ephemeral(pod) {
		c := b.container(m)
		c.Started, c.Ready = nil, false // no probe tells
		s.EphemeralContainerStatuses = append(s.EphemeralContainerStatuses, c)
	}
	for _, m := range podstate.Members(pod) {
		c := b.container(m)
		if m.Role == podstate.RoleApp {
			s.ContainerStatuses = append(s.ContainerStatuses, c)
		} else {
			s.InitContainerStatuses = append(s.InitContainerStatuses, c)
		}
	}
	if !pods.IsTerminal(pod) { // a terminal phase never changes, nor does its reason
		s.Phase, s.Reason, s.Message = b.phase(s), "", ""
		if v.Failure != nil {
			s.Phase, s.Reason, s.Message = corev1.PodFailed, v.Failure.Reason, v.Failure.Message
		}
	}
	if s.QOSClass == "" {
		s.QOSClass = podstate.QOSClass(pod)
	}
	s.StartTime = startTime(pod, x)
	b.addresses(&s)
	b.conditions(&s)
	s.ObservedGeneration = pod.Generation
	switch {
	case !pods.IsTerminalPhase(s.Phase):
	case b.AllStopped():
		endContainers(pod, &s)
	case !pods.IsTerminal(pod):
		// The terminal phase is written when nothing runs: the scheduler then gives what the pod used to others.
		s.Phase, s.Reason, s.Message = cmp.Or(pod.Status.Phase, corev1.PodPending), pod.Status.Reason, pod.Status.Message
	}
	return s
}

// startTime is when the kubelet first saw the pod; once written it never changes.
func startTime(pod *corev1.Pod, x Facts) *metav1.Time {
	if pod.Status.StartTime != nil || x.Started.IsZero() {
		return pod.Status.StartTime.DeepCopy()
	}
	return &metav1.Time{Time: x.Started.Truncate(time.Second)}
}

func (b *statusBuilder) addresses(s *corev1.PodStatus) {
	if len(b.NodeIPs) > 0 {
		s.HostIP, s.HostIPs = b.NodeIPs[0].String(), nil
		for _, a := range b.NodeIPs {
			s.HostIPs = append(s.HostIPs, corev1.HostIP{IP: a.String()})
		}
	}
	ips := b.PodIPs
	if b.Pod.Spec.HostNetwork && b.Sandbox() != nil {
		ips = b.NodeIPs
	}
	if len(ips) > 0 {
		s.PodIP, s.PodIPs = ips[0].String(), nil
		for _, a := range ips {
			s.PodIPs = append(s.PodIPs, corev1.PodIP{IP: a.String()})
		}
	}
}

type statusBuilder struct {
	podstate.View
	Facts
}

// container is one container's status: the newest attempt's state, the one before as the last state.
func (b *statusBuilder) container(m podstate.Member) corev1.ContainerStatus {
	old := podstate.StatusNamed(b.Pod, m.Name)
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
	s.ImageID = b.Images[cs.ImageID]
	if s.ImageID == "" {
		s.ImageID = engine.URI(cs.ImageID)
	}
	if cs.Image != "" {
		s.Image = cs.Image
	}
	s.AllocatedResources = m.Resources.Requests.DeepCopy()
	has := m.Resources
	if b.Resizing(cs, m) {
		has = b.Actuated[cs.ID]
	}
	s.Resources = &corev1.ResourceRequirements{Requests: has.Requests.DeepCopy(), Limits: has.Limits.DeepCopy()}
	if len(list) > 1 && list[1].State == engine.StateExited {
		s.LastTerminationState = b.terminated(list[1])
	} else if old != nil && old.RestartCount == s.RestartCount {
		s.LastTerminationState = *old.LastTerminationState.DeepCopy()
	}
	state := cs.State
	if state == engine.StateRunning && b.Starting[m.Name] {
		state = engine.StateCreated
	}
	switch state {
	case engine.StateRunning:
		s.State.Running = &corev1.ContainerStateRunning{StartedAt: seconds(cs.Started)}
		c := b.Probes[cs.ID]
		started = c.Started
		s.Ready = c.Started && c.Ready && c.Unhealthy == ""
	case engine.StateExited:
		s.State = b.terminated(cs)
		s.Ready = m.Role == podstate.RoleInit && cs.Exit.Code == 0
		if w := b.waiting(m, cs); w != nil {
			s.LastTerminationState, s.State = s.State, corev1.ContainerState{Waiting: w}
		}
	case engine.StateCreated:
		s.State.Waiting = b.notStarted(m)
	}
	if m.Role == podstate.RoleInit && cs.State != engine.StateRunning {
		started = false
	}
	return s
}

// absent is the status of a container that the engine does not have.
func (b *statusBuilder) absent(s *corev1.ContainerStatus, m podstate.Member, old *corev1.ContainerStatus) {
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

func (b *statusBuilder) restartsLost(m podstate.Member) bool {
	return !b.Ending() && podstate.Restarts(b.Pod.Spec.RestartPolicy, m.Role, podstate.LostCode)
}

// notStarted is why a container that has not run yet waits.
func (b *statusBuilder) notStarted(m podstate.Member) *corev1.ContainerStateWaiting {
	if p, ok := b.Problems[m.Name]; ok {
		return &corev1.ContainerStateWaiting{Reason: p.Reason, Message: p.Message}
	}
	if len(b.Pod.Spec.InitContainers) > 0 {
		return &corev1.ContainerStateWaiting{Reason: waitInitializing}
	}
	return &corev1.ContainerStateWaiting{Reason: WaitCreating}
}

// waiting is why a container that ended is not running again yet; nil: it stays ended, or is about to start.
func (b *statusBuilder) waiting(m podstate.Member, cs *engine.ContainerStatus) *corev1.ContainerStateWaiting {
	if b.ResizeRestarts[cs.ID] && !b.Ending() {
		return &corev1.ContainerStateWaiting{Reason: WaitCreating}
	}
	if b.Ending() || !podstate.Restarts(b.Pod.Spec.RestartPolicy, m.Role, cs.Exit.Code) {
		return nil
	}
	if podstate.RestartAt(cs).After(b.Now) {
		return &corev1.ContainerStateWaiting{Reason: waitCrashLoop, Message: crashLoopMessage(b.Pod, m.Name, cs.Backoff)}
	}
	if p, ok := b.Problems[m.Name]; ok {
		return &corev1.ContainerStateWaiting{Reason: p.Reason, Message: p.Message}
	}
	return nil
}

// crashLoopMessage is Kubernetes' text: "back-off 10s restarting failed container=web pod=web_default(uid)".
func crashLoopMessage(pod *corev1.Pod, container string, d time.Duration) string {
	return fmt.Sprintf("back-off %s restarting failed container=%s pod=%s", d, container, podstate.LongName(pod))
}

func (b *statusBuilder) terminated(cs *engine.ContainerStatus) corev1.ContainerState {
	message := cs.Exit.Message
	if m := b.Messages[cs.ID]; m != "" {
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
