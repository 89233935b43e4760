package podstatus

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/engine"
	"gantry/schema/pods"
)

// conditions sets the conditions that are the kubelet's; others are kept. A condition's transition time changes with its status.
func (b *statusBuilder) conditions(s *corev1.PodStatus) {
	set := func(c corev1.PodCondition) {
		c.ObservedGeneration = b.Pod.Generation
		c.LastTransitionTime = seconds(b.Now)
		i := slices.IndexFunc(s.Conditions, func(o corev1.PodCondition) bool { return o.Type == c.Type })
		if i < 0 {
			s.Conditions = append(s.Conditions, c)
			return
		}
		if s.Conditions[i].Status == c.Status {
			c.LastTransitionTime = s.Conditions[i].LastTransitionTime
		}
		c.LastProbeTime = s.Conditions[i].LastProbeTime
		s.Conditions[i] = c
	}
	sandbox := b.Sandbox()
	up := sandbox != nil && sandbox.State == engine.StateRunning && (b.Addressed || b.Pod.Spec.HostNetwork)
	set(condition(corev1.PodReadyToStartContainers, up, "", ""))
	set(b.initializedCondition(s))
	containers := b.containersReady(s)
	set(b.readyCondition(s, containers))
	set(containers)
	resize := b.resizeConditions()
	s.Conditions = slices.DeleteFunc(s.Conditions, func(o corev1.PodCondition) bool {
		mine := o.Type == corev1.PodResizePending || o.Type == corev1.PodResizeInProgress
		return mine && !slices.ContainsFunc(resize, func(c corev1.PodCondition) bool { return c.Type == o.Type })
	})
	for _, c := range resize {
		set(c)
	}
	if i := slices.IndexFunc(s.Conditions, func(o corev1.PodCondition) bool { return o.Type == corev1.PodScheduled }); i < 0 || s.Conditions[i].Status != corev1.ConditionTrue {
		set(condition(corev1.PodScheduled, true, "", ""))
	}
}

func condition(t corev1.PodConditionType, ok bool, reason, message string) corev1.PodCondition {
	c := corev1.PodCondition{Type: t, Status: corev1.ConditionFalse, Reason: reason, Message: message}
	if ok {
		c.Status = corev1.ConditionTrue
	}
	return c
}

// reasonPodCompleted is the reason of the conditions of a pod that succeeded.
const reasonPodCompleted = "PodCompleted"

func (b *statusBuilder) initializedCondition(s *corev1.PodStatus) corev1.PodCondition {
	if s.Phase == corev1.PodSucceeded {
		return condition(corev1.PodInitialized, true, reasonPodCompleted, "")
	}
	begun := slices.ContainsFunc(s.ContainerStatuses, func(c corev1.ContainerStatus) bool { return c.State.Waiting == nil || c.ContainerID != "" })
	var missing []string
	for i, c := range s.InitContainerStatuses {
		done := c.State.Terminated != nil && c.State.Terminated.ExitCode == 0
		if pods.IsSidecar(&b.Pod.Spec.InitContainers[i]) {
			done = *c.Started
		}
		if !done && !begun {
			missing = append(missing, c.Name)
		}
	}
	if len(missing) > 0 {
		return condition(corev1.PodInitialized, false, "ContainersNotInitialized",
			fmt.Sprintf("containers with incomplete status: [%s]", strings.Join(missing, " ")))
	}
	return condition(corev1.PodInitialized, true, "", "")
}

func (b *statusBuilder) containersReady(s *corev1.PodStatus) corev1.PodCondition {
	switch s.Phase {
	case corev1.PodSucceeded:
		return condition(corev1.ContainersReady, false, reasonPodCompleted, "")
	case corev1.PodFailed:
		return condition(corev1.ContainersReady, false, "PodFailed", "")
	}
	var missing []string
	for i, c := range s.InitContainerStatuses {
		if pods.IsSidecar(&b.Pod.Spec.InitContainers[i]) && !c.Ready {
			missing = append(missing, c.Name)
		}
	}
	for _, c := range s.ContainerStatuses {
		if !c.Ready {
			missing = append(missing, c.Name)
		}
	}
	if len(missing) > 0 {
		return condition(corev1.ContainersReady, false, "ContainersNotReady",
			fmt.Sprintf("containers with unready status: [%s]", strings.Join(missing, " ")))
	}
	return condition(corev1.ContainersReady, true, "", "")
}

// readyCondition is ContainersReady and every readiness gate.
func (b *statusBuilder) readyCondition(s *corev1.PodStatus, containers corev1.PodCondition) corev1.PodCondition {
	if containers.Status != corev1.ConditionTrue {
		return condition(corev1.PodReady, false, containers.Reason, containers.Message)
	}
	var faults []string
	for _, g := range b.Pod.Spec.ReadinessGates {
		i := slices.IndexFunc(s.Conditions, func(c corev1.PodCondition) bool { return c.Type == g.ConditionType })
		switch {
		case i < 0:
			faults = append(faults, fmt.Sprintf("corresponding condition of pod readiness gate %q does not exist.", string(g.ConditionType)))
		case s.Conditions[i].Status != corev1.ConditionTrue:
			faults = append(faults, fmt.Sprintf("the status of pod readiness gate %q is not \"True\", but %v", string(g.ConditionType), s.Conditions[i].Status))
		}
	}
	if len(faults) > 0 {
		return condition(corev1.PodReady, false, "ReadinessGatesNotReady", strings.Join(faults, ", "))
	}
	return condition(corev1.PodReady, true, "", "")
}
