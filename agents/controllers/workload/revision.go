package workload

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema/apps"
)

// The annotations of deployments and their replica sets.
const (
	revisionAnnotation = "deployment.kubernetes.io/revision"
	historyAnnotation  = "deployment.kubernetes.io/revision-history"
	desiredAnnotation  = "deployment.kubernetes.io/desired-replicas"
	maxAnnotation      = "deployment.kubernetes.io/max-replicas"
)

// notCopied are annotations of a deployment that its replica sets do not get.
var notCopied = []string{
	corev1.LastAppliedConfigAnnotation, revisionAnnotation, historyAnnotation, desiredAnnotation, maxAnnotation,
	appsv1.DeprecatedRollbackTo,
}

// maxHistory bounds the revision history annotation, in bytes.
const maxHistory = 2000

// revise gives the current replica set the highest revision and the deployment the same one. Where there is none it is
// created, if create says so.
func (o *rollout) revise(create bool) {
	var last int64
	for _, rs := range o.olds {
		last = max(last, revisionOf(rs))
	}
	last = min(last, math.MaxInt64-1)
	if o.current == nil {
		if !create {
			return
		}
		o.create(last + 1)
		o.progress(corev1.ConditionTrue, "NewReplicaSetCreated", fmt.Sprintf("Created new replica set %q", o.current.Name))
	} else {
		changed := o.annotate(o.current, last+1)
		if o.current.Spec.MinReadySeconds != o.d.Spec.MinReadySeconds {
			o.current.Spec.MinReadySeconds = o.d.Spec.MinReadySeconds
			changed = true
		}
		if changed {
			o.plan = append(o.plan, controller.Action{Do: controller.Update, Kind: apps.ReplicaSet, Object: o.current.DeepCopy(), Reason: "annotations and minReadySeconds follow the deployment"})
		}
		if conditionOf(o.d.Status, appsv1.DeploymentProgressing) == nil {
			o.progress(corev1.ConditionTrue, "FoundNewReplicaSet", fmt.Sprintf("Found new replica set %q", o.current.Name))
		}
	}
	o.reviseDeployment()
}

// reviseDeployment goes with the status: a write of the deployment itself would count as a change of the spec
// (metadata.generation).
func (o *rollout) reviseDeployment() {
	revision := o.current.Annotations[revisionAnnotation]
	if o.d.Annotations[revisionAnnotation] != revision {
		o.d.Annotations = labels.Merge(o.d.Annotations, labels.Set{revisionAnnotation: revision})
	}
}

func revisionOf(rs *appsv1.ReplicaSet) int64 {
	n, err := strconv.ParseInt(rs.Annotations[revisionAnnotation], 10, 64)
	if err != nil {
		return 0
	}
	return max(n, 0)
}

// annotate copies the deployment's annotations and raises the revision, keeping the former one in the history.
func (o *rollout) annotate(rs *appsv1.ReplicaSet, revision int64) (changed bool) {
	before := maps.Clone(rs.Annotations)
	if rs.Annotations == nil {
		rs.Annotations = map[string]string{}
	}
	for k, v := range o.d.Annotations {
		if !slices.Contains(notCopied, k) {
			rs.Annotations[k] = v
		}
	}
	if was := revisionOf(rs); was < revision {
		rs.Annotations[revisionAnnotation] = strconv.FormatInt(revision, 10)
		if was > 0 {
			rs.Annotations[historyAnnotation] = appendHistory(rs.Annotations[historyAnnotation], was)
		}
	}
	return !maps.Equal(before, rs.Annotations)
}

// appendHistory appends a revision to a history like "1,3", dropping the oldest where it grows too long.
func appendHistory(history string, revision int64) string {
	if history == "" {
		return strconv.FormatInt(revision, 10)
	}
	history += "," + strconv.FormatInt(revision, 10)
	for len(history) > maxHistory {
		_, history, _ = strings.Cut(history, ",")
	}
	return history
}

// annotateSize notes on a replica set how many pods the deployment wants and may have: by these a later change of the
// size is noticed and distributed.
func (o *rollout) annotateSize(rs *appsv1.ReplicaSet) (changed bool) {
	surge, _ := o.limits()
	desired, most := strconv.Itoa(int(o.replicas())), strconv.Itoa(int(o.replicas()+surge))
	if rs.Annotations[desiredAnnotation] == desired && rs.Annotations[maxAnnotation] == most {
		return false
	}
	rs.Annotations = labels.Merge(rs.Annotations, labels.Set{desiredAnnotation: desired, maxAnnotation: most})
	return true
}

func sizeAnnotation(rs *appsv1.ReplicaSet, key string) (int32, bool) {
	n, err := strconv.ParseInt(rs.Annotations[key], 10, 32)
	return int32(n), err == nil && n >= 0
}

// cleanup deletes replica sets without pods that are older than the history keeps.
func (o *rollout) cleanup() {
	if o.d.Spec.RevisionHistoryLimit == nil {
		return
	}
	idle := slices.DeleteFunc(slices.Clone(o.olds), func(rs *appsv1.ReplicaSet) bool {
		return rs.DeletionTimestamp != nil
	})
	surplus := len(idle) - int(max(*o.d.Spec.RevisionHistoryLimit, 0))
	slices.SortStableFunc(idle, func(a, b *appsv1.ReplicaSet) int { return cmp.Compare(revisionOf(a), revisionOf(b)) })
	for i := 0; i < surplus; i++ {
		rs := idle[i]
		if rs.Status.Replicas != 0 || size(rs) != 0 || rs.Generation > rs.Status.ObservedGeneration {
			continue
		}
		o.plan = append(o.plan, controller.Action{Do: controller.Delete, Kind: apps.ReplicaSet, Object: rs, Reason: "older than the revision history keeps",
			DeleteOptions: registry.DeleteOptions{Propagation: "Background"}})
	}
}
