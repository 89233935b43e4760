package explain

import (
	"fmt"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/admin/snapshot"
	"gantry/schema/apps"
	"gantry/schema/core"
	"gantry/schema/pods"
)

// orOne is a number of replicas; nil: 1.
func orOne(n *int32) int32 {
	if n == nil {
		return 1
	}
	return *n
}

// deployment explains a deployment by its replica sets.
func (x *explainer) deployment(depth int, e *snapshot.Entry) {
	if x.deletion(depth, e) {
		return
	}
	d := e.Object.(*appsv1.Deployment)
	want, s := orOne(d.Spec.Replicas), &d.Status
	wanted := s.ObservedGeneration >= d.Generation && s.UpdatedReplicas == want && s.AvailableReplicas == want && s.Replicas == want
	x.add(depth, wanted, e, "%s: %d wanted, %d updated, %d available, %d in all", x.title(e), want, s.UpdatedReplicas, s.AvailableReplicas, s.Replicas)
	x.notObserved(depth+1, e, s.ObservedGeneration)
	if d.Spec.Paused {
		x.add(depth+1, false, e, "it is paused: `kubectl rollout resume deployment %s`", d.Name)
	}
	for _, c := range s.Conditions {
		if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue || c.Type == appsv1.DeploymentProgressing && c.Status == corev1.ConditionFalse {
			x.add(depth+1, false, e, "condition %s: %s: %s", c.Type, c.Reason, firstLine(c.Message))
		}
	}
	sets := x.controlledBy(apps.ReplicaSet, e)
	slices.SortStableFunc(sets, func(a, b *snapshot.Entry) int { return deploymentRevision(b) - deploymentRevision(a) })
	if len(sets) == 0 && want > 0 {
		x.add(depth+1, false, nil, "it has no ReplicaSet yet")
		x.agentMissing(depth+2, "controllers", "makes it")
	}
	if !wanted || depth == 0 {
		x.replicaSetsOf(depth+1, sets)
	}
	if depth == 0 {
		x.warnings(depth+1, e)
	}
}

func deploymentRevision(e *snapshot.Entry) int {
	n, _ := strconv.Atoi(e.Object.GetAnnotations()["deployment.kubernetes.io/revision"])
	return n
}

// replicaSetsOf explains the newest replica set, and the older ones that still have pods.
func (x *explainer) replicaSetsOf(depth int, sets []*snapshot.Entry) {
	for i, e := range sets {
		rs := e.Object.(*appsv1.ReplicaSet)
		if i == 0 || rs.Status.Replicas > 0 || orOne(rs.Spec.Replicas) > 0 {
			x.replicaSet(depth, e)
		}
	}
}

func (x *explainer) replicaSet(depth int, e *snapshot.Entry) {
	if x.deletion(depth, e) {
		return
	}
	rs := e.Object.(*appsv1.ReplicaSet)
	var failure string
	for _, c := range rs.Status.Conditions {
		if c.Type == appsv1.ReplicaSetReplicaFailure && c.Status == corev1.ConditionTrue {
			failure = c.Reason + ": " + firstLine(c.Message)
		}
	}
	x.replicas(depth, e, orOne(rs.Spec.Replicas), rs.Status.ObservedGeneration, failure)
}

func (x *explainer) replicationController(depth int, e *snapshot.Entry) {
	if x.deletion(depth, e) {
		return
	}
	rc := e.Object.(*corev1.ReplicationController)
	var failure string
	for _, c := range rc.Status.Conditions {
		if c.Type == corev1.ReplicationControllerReplicaFailure && c.Status == corev1.ConditionTrue {
			failure = c.Reason + ": " + firstLine(c.Message)
		}
	}
	x.replicas(depth, e, orOne(rc.Spec.Replicas), rc.Status.ObservedGeneration, failure)
}

// replicas explains an owner that wants a number of pods.
func (x *explainer) replicas(depth int, e *snapshot.Entry, want int32, observed int64, failure string) {
	all, bad := x.podsOf(e)
	wanted := len(bad) == 0 && len(all) == int(want)
	x.add(depth, wanted, e, "%s: %d pods wanted, %d there, %d ready", x.title(e), want, len(all), len(all)-len(bad))
	x.notObserved(depth+1, e, observed)
	if failure != "" {
		x.add(depth+1, false, e, "its pods cannot be made: %s", failure)
	}
	if len(all) < int(want) {
		x.agentMissing(depth+1, "controllers", "makes the pods")
	}
	x.some(depth+1, bad, x.pod)
	if depth == 0 {
		x.warnings(depth+1, e)
	}
}

// podsOf are the pods that an owner controls and that have not ended, and those of them that are not ready or being deleted.
func (x *explainer) podsOf(owner *snapshot.Entry) (all, bad []*snapshot.Entry) {
	for _, e := range x.controlledBy(core.Pod, owner) {
		p := e.Object.(*corev1.Pod)
		if pods.IsTerminal(p) {
			continue
		}
		all = append(all, e)
		if !pods.IsReady(p) || p.DeletionTimestamp != nil {
			bad = append(bad, e)
		}
	}
	return all, bad
}

// statefulSet explains a stateful set by the first of its pods that is missing or not ready: with podManagementPolicy OrderedReady the
// others wait for that one.
func (x *explainer) statefulSet(depth int, e *snapshot.Entry) {
	if x.deletion(depth, e) {
		return
	}
	set := e.Object.(*appsv1.StatefulSet)
	want, s := orOne(set.Spec.Replicas), &set.Status
	all, bad := x.podsOf(e)
	wanted := len(bad) == 0 && len(all) == int(want) && s.UpdatedReplicas >= want
	x.add(depth, wanted, e, "%s: %d pods wanted, %d there, %d ready, %d of the newest revision", x.title(e), want, len(all), len(all)-len(bad), s.UpdatedReplicas)
	x.notObserved(depth+1, e, s.ObservedGeneration)
	start := int32(0)
	if set.Spec.Ordinals != nil {
		start = set.Spec.Ordinals.Start
	}
	ordered := set.Spec.PodManagementPolicy != appsv1.ParallelPodManagement
	missing := 0
	for i := start; i < start+want && missing < maxChildren; i++ {
		pod := x.Get(core.Pod, set.Namespace, fmt.Sprintf("%s-%d", set.Name, i))
		if pod != nil && pods.IsReady(pod.Object.(*corev1.Pod)) && pod.Object.GetDeletionTimestamp() == nil {
			continue
		}
		missing++
		if pod != nil {
			x.pod(depth+1, pod)
		} else {
			x.add(depth+1, false, nil, "Pod %s/%s-%d does not exist yet", set.Namespace, set.Name, i)
			x.agentMissing(depth+2, "controllers", "makes it")
		}
		if ordered {
			x.add(depth+1, false, e, "podManagementPolicy OrderedReady: the pods after it wait for it")
			break
		}
	}
	if set.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType && s.UpdatedReplicas < want {
		x.add(depth+1, false, e, "updateStrategy OnDelete: a pod gets the newest revision once it is deleted")
	}
	if depth == 0 {
		x.warnings(depth+1, e)
	}
}

// daemonSet explains a daemon set by the pods that are missing on nodes or not ready.
func (x *explainer) daemonSet(depth int, e *snapshot.Entry) {
	if x.deletion(depth, e) {
		return
	}
	ds := e.Object.(*appsv1.DaemonSet)
	s := &ds.Status
	all, bad := x.podsOf(e)
	wanted := s.ObservedGeneration >= ds.Generation && len(bad) == 0 && len(all) == int(s.DesiredNumberScheduled) && s.UpdatedNumberScheduled == s.DesiredNumberScheduled
	x.add(depth, wanted, e, "%s: wanted on %d of %d nodes, %d pods there, %d ready, %d of the newest template", x.title(e),
		s.DesiredNumberScheduled, len(x.All(core.Node, "")), len(all), len(all)-len(bad), s.UpdatedNumberScheduled)
	x.notObserved(depth+1, e, s.ObservedGeneration)
	if s.NumberMisscheduled > 0 {
		x.add(depth+1, false, e, "%d pods are on nodes that should not run them", s.NumberMisscheduled)
	}
	if len(all) < int(s.DesiredNumberScheduled) {
		x.agentMissing(depth+1, "controllers", "makes the pods")
	}
	x.some(depth+1, bad, x.pod)
	if depth == 0 {
		x.warnings(depth+1, e)
	}
}
