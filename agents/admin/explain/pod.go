package explain

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/admin/snapshot"
	"gantry/schema/core"
	"gantry/schema/pods"
	"gantry/schema/storage"
	"gantry/schema/volumes"
)

// pod explains a pod: its deletion, else why it has no node, else why it is where it is and what keeps it from being ready.
func (x *explainer) pod(depth int, e *snapshot.Entry) {
	p := e.Object.(*corev1.Pod)
	switch {
	case p.DeletionTimestamp != nil:
		x.podDeletion(depth, e)
	case pods.IsTerminal(p):
		x.ended(depth, e)
	case p.Spec.NodeName == "":
		x.pendingPod(depth, e)
	default:
		x.boundPod(depth, e)
	}
	if depth == 0 {
		x.warnings(depth+1, e)
		x.controllerOf(depth+1, e)
	} else if !pods.IsReady(p) {
		x.events(depth+1, e, 1, func(o *corev1.Event) bool { return o.Reason == unhealthy })
	}
}

// unhealthy is the reason of the event about a probe that fails.
const unhealthy = "Unhealthy"

// ended says how a pod ended.
func (x *explainer) ended(depth int, e *snapshot.Entry) {
	p := e.Object.(*corev1.Pod)
	text := "has ended: " + string(p.Status.Phase)
	if p.Status.Reason != "" || p.Status.Message != "" {
		text += fmt.Sprintf(" (%s %s)", p.Status.Reason, firstLine(p.Status.Message))
	}
	x.add(depth, p.Status.Phase == corev1.PodSucceeded, e, "%s %s", x.title(e), text)
	x.containers(depth+1, e)
}

// controllerOf adds which object made a pod.
func (x *explainer) controllerOf(depth int, e *snapshot.Entry) {
	ref := metav1.GetControllerOfNoCopy(e.Object)
	if ref == nil {
		return
	}
	k := x.Kinds.Kind(ref.APIVersion, ref.Kind)
	if k == nil {
		x.add(depth, true, nil, "it is controlled by %s %s", ref.Kind, ref.Name)
		return
	}
	owner := x.Get(k, e.Object.GetNamespace(), ref.Name)
	if owner == nil || owner.Object.GetUID() != ref.UID {
		x.add(depth, false, nil, "its controller, %s %s, does not exist: the garbage collector deletes the pod", ref.Kind, ref.Name)
		return
	}
	x.add(depth, true, owner, "it is controlled by %s %s", ref.Kind, ref.Name)
}

// pendingPod explains why a pod has no node.
func (x *explainer) pendingPod(depth int, e *snapshot.Entry) {
	p := e.Object.(*corev1.Pod)
	x.add(depth, false, e, "%s has had no node for %s", x.title(e), x.since(p.CreationTimestamp.Time))
	if len(p.Spec.SchedulingGates) > 0 {
		var names []string
		for _, g := range p.Spec.SchedulingGates {
			names = append(names, g.Name)
		}
		x.add(depth+1, false, e, "scheduling gates keep it back until whoever set them removes them: %s", strings.Join(names, ", "))
		return
	}
	scheduler := p.Spec.SchedulerName
	if scheduler != "" && scheduler != corev1.DefaultSchedulerName {
		x.add(depth+1, false, e, "spec.schedulerName leaves it to the scheduler %q; what follows is of Gantry's plug-ins", scheduler)
	} else {
		x.agentMissing(depth+1, "scheduler", "chooses nodes")
	}
	x.podClaims(depth+1, p)
	if c := pods.Condition(p, corev1.PodScheduled); c != nil && c.Reason == corev1.PodReasonSchedulerError {
		x.add(depth+1, false, e, "the scheduler failed: %s", firstLine(c.Message))
	}
	x.verdicts(depth+1, e)
}

// podClaims adds the claims of a pod that are not bound.
func (x *explainer) podClaims(depth int, p *corev1.Pod) {
	for i := range p.Spec.Volumes {
		v := &p.Spec.Volumes[i]
		name, _ := volumes.ClaimName(p, v)
		if name == "" {
			continue
		}
		e := x.Get(core.PersistentVolumeClaim, p.Namespace, name)
		if e == nil {
			x.add(depth, false, nil, "volume %s: PersistentVolumeClaim %s/%s does not exist", v.Name, p.Namespace, name)
			continue
		}
		if c := e.Object.(*corev1.PersistentVolumeClaim); c.Status.Phase != corev1.ClaimBound && !x.waitsForConsumer(c) {
			x.claim(depth, e)
		}
	}
}

// waitsForConsumer returns whether a claim is bound only once its pod has a node.
func (x *explainer) waitsForConsumer(c *corev1.PersistentVolumeClaim) bool {
	if c.Spec.StorageClassName == nil || c.Spec.VolumeName != "" {
		return false
	}
	e := x.Get(storage.StorageClass, "", *c.Spec.StorageClassName)
	return e != nil && volumes.WaitsForConsumer(e.Object.(*storagev1.StorageClass))
}

// boundPod explains a pod that has a node.
func (x *explainer) boundPod(depth int, e *snapshot.Entry) {
	p := e.Object.(*corev1.Pod)
	switch {
	case pods.IsReady(p):
		x.add(depth, true, e, "%s is ready on node %s since %s", x.title(e), p.Spec.NodeName, x.since(pods.ReadySince(p)))
	default:
		x.add(depth, false, e, "%s is %s on node %s, not ready%s", x.title(e), strings.ToLower(string(p.Status.Phase)), p.Spec.NodeName, x.notReadyFor(p))
	}
	n := x.Get(core.Node, "", p.Spec.NodeName)
	switch {
	case n == nil:
		x.add(depth+1, false, nil, "its node %s does not exist: the controller podgc deletes the pod", p.Spec.NodeName)
	case x.nodeHealthy(depth+1, n) && p.Status.Phase == corev1.PodPending && len(p.Status.ContainerStatuses) == 0:
		x.add(depth+1, false, e, "the kubelet of %s has not reported any container of it yet", p.Spec.NodeName)
		x.podClaims(depth+1, p)
	}
	x.containers(depth+1, e)
	x.readiness(depth+1, e)
	if depth == 0 && n != nil {
		x.chosen(depth+1, e)
	}
}

// notReadyFor is " for 3m5s", or "" where the pod does not say.
func (x *explainer) notReadyFor(p *corev1.Pod) string {
	c := pods.Condition(p, corev1.PodReady)
	if c == nil || c.Status == corev1.ConditionTrue || c.LastTransitionTime.IsZero() {
		return ""
	}
	return " for " + x.since(c.LastTransitionTime.Time)
}

// readiness adds the conditions that keep a pod whose containers are ready from being ready.
func (x *explainer) readiness(depth int, e *snapshot.Entry) {
	p := e.Object.(*corev1.Pod)
	for _, g := range p.Spec.ReadinessGates {
		c := pods.Condition(p, g.ConditionType)
		switch {
		case c == nil:
			x.add(depth, false, e, "readiness gate %s: nobody has set the condition", g.ConditionType)
		case c.Status != corev1.ConditionTrue:
			x.add(depth, false, e, "readiness gate %s is %s: %s", g.ConditionType, c.Status, firstLine(c.Message))
		}
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue {
			x.add(depth, false, e, "it is to be disrupted: %s: %s", c.Reason, firstLine(c.Message))
		}
	}
}
