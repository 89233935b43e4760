package workload

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"gantry/agents/controllers/controller"
	"gantry/schema/apps"
)

// rollout plans one reconciliation of a deployment. It works on copies: later steps see the sizes that earlier steps decided, and the
// counts (status) as they were observed.
type rollout struct {
	seen    *appsv1.Deployment   // as observed
	d       *appsv1.Deployment   // a copy; its status and annotations become what is wanted
	current *appsv1.ReplicaSet   // has the deployment's template; nil: none yet
	olds    []*appsv1.ReplicaSet // the others, oldest first
	running map[types.UID]int    // pods that may still run, by replica set; for Recreate
	now     time.Time
	plan    []controller.Action
}

// planDeployment decides what a deployment needs now, and after how long it must be reconciled again even if nothing changes
// (0: never).
func planDeployment(seen *appsv1.Deployment, sets []*appsv1.ReplicaSet, running map[types.UID]int, now time.Time) ([]controller.Action, time.Duration) {
	o := newRollout(seen, sets, running, now)
	if seen.DeletionTimestamp != nil {
		o.syncStatus(false)
		return o.plan, 0
	}
	o.pauseCondition()
	to, rollback := rollbackTo(seen)
	switch {
	case o.d.Spec.Paused:
		o.revise(false)
		o.scale()
		o.cleanup()
		o.syncStatus(false)
	case rollback:
		o.rollBack(to)
		return o.plan, 0 // the deployment is another one now
	case o.resized():
		o.revise(false)
		o.scale()
		o.syncStatus(false)
	case o.d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType:
		o.recreate()
		o.syncStatus(true)
	default:
		o.rollingUpdate()
		o.syncStatus(true)
	}
	return o.plan, o.deadlineIn()
}

func newRollout(seen *appsv1.Deployment, sets []*appsv1.ReplicaSet, running map[types.UID]int, now time.Time) *rollout {
	o := &rollout{seen: seen, d: seen.DeepCopy(), running: running, now: now}
	for _, rs := range sets {
		o.olds = append(o.olds, rs.DeepCopy())
	}
	slices.SortFunc(o.olds, olderSet)
	for i, rs := range o.olds {
		if equalTemplates(&rs.Spec.Template, &o.d.Spec.Template) {
			o.current = rs
			o.olds = slices.Delete(o.olds, i, i+1)
			break
		}
	}
	return o
}

func olderSet(a, b *appsv1.ReplicaSet) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
}

// all is every replica set, the current one last.
func (o *rollout) all() []*appsv1.ReplicaSet {
	if o.current == nil {
		return o.olds
	}
	return append(slices.Clip(o.olds), o.current)
}

func (o *rollout) replicas() int32 { return max(ptr.Deref(o.d.Spec.Replicas, 1), 0) }

// size is how many pods a replica set is to have.
func size(rs *appsv1.ReplicaSet) int32 { return max(ptr.Deref(rs.Spec.Replicas, 1), 0) }

// available is how many of them are available. More than the size are not counted: those pods are about to be deleted.
func available(rs *appsv1.ReplicaSet) int32 { return min(rs.Status.AvailableReplicas, size(rs)) }

func sum(sets []*appsv1.ReplicaSet, of func(*appsv1.ReplicaSet) int32) (n int32) {
	for _, rs := range sets {
		n += of(rs)
	}
	return n
}

func active(sets []*appsv1.ReplicaSet) []*appsv1.ReplicaSet {
	return slices.DeleteFunc(slices.Clone(sets), func(rs *appsv1.ReplicaSet) bool { return size(rs) == 0 })
}

// limits resolves maxSurge and maxUnavailable into pods. They are never both zero: no rollout could progress.
func (o *rollout) limits() (surge, unavailable int32) {
	if o.d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		return 0, 0
	}
	quarter := intstr.FromString("25%")
	s, u := &quarter, &quarter
	if r := o.d.Spec.Strategy.RollingUpdate; r != nil {
		s, u = cmp.Or(r.MaxSurge, s), cmp.Or(r.MaxUnavailable, u)
	}
	surge = resolve(s, o.replicas(), true)
	unavailable = resolve(u, o.replicas(), false)
	if surge == 0 && unavailable == 0 {
		unavailable = 1
	}
	return surge, min(unavailable, o.replicas())
}

func resolve(v *intstr.IntOrString, of int32, up bool) int32 {
	n, err := intstr.GetScaledValueFromIntOrPercent(v, int(of), up)
	if err != nil {
		return 0
	}
	return int32(min(max(n, 0), 1<<30))
}

// rollingUpdate moves pods from the old replica sets to the current one within the limits.
func (o *rollout) rollingUpdate() {
	o.revise(true)
	if o.scaleUpCurrent() {
		return // the old ones are scaled down when the new pods are available
	}
	if o.scaleDownOld() {
		return
	}
	if o.complete(o.calculate()) {
		o.cleanup()
	}
}

// scaleUpCurrent brings the current replica set nearer to its size.
func (o *rollout) scaleUpCurrent() bool {
	want := o.replicas()
	if size(o.current) < want {
		want = size(o.current) + o.surgeRoom(want-size(o.current))
	}
	return o.resize(o.current, want, "rolling update")
}

// surgeRoom is how many of n more pods the surge allows.
func (o *rollout) surgeRoom(n int32) int32 {
	surge, _ := o.limits()
	return max(min(n, o.replicas()+surge-sum(o.all(), size)), 0)
}

// scaleDownOld scales the old replica sets down: by their unavailable pods first, then as far as availability allows.
func (o *rollout) scaleDownOld() bool {
	if sum(o.olds, size) == 0 {
		return false
	}
	_, unavailable := o.limits()
	minimum := o.replicas() - unavailable
	unavailableNew := size(o.current) - available(o.current)
	spare := sum(o.all(), size) - minimum - unavailableNew
	if spare <= 0 {
		return false
	}
	changed := false
	for _, rs := range o.olds {
		n := min(spare, size(rs)-available(rs))
		if n > 0 {
			changed = o.resize(rs, size(rs)-n, "its pods are not available") || changed
			spare -= n
		}
	}
	spare = sum(o.all(), available) - minimum
	for _, rs := range o.olds {
		if n := min(spare, size(rs)); n > 0 {
			changed = o.resize(rs, size(rs)-n, "rolling update") || changed
			spare -= n
		}
	}
	return changed
}

// recreate has every old pod end before a new one is created.
func (o *rollout) recreate() {
	o.revise(false)
	stopped := false
	for _, rs := range o.olds {
		stopped = o.resize(rs, 0, "recreate") || stopped
	}
	for _, rs := range o.olds {
		stopped = stopped || o.running[rs.UID] > 0
	}
	if stopped {
		return
	}
	if o.current == nil {
		o.revise(true)
	}
	if !o.resize(o.current, o.replicas(), "recreate") && o.complete(o.calculate()) {
		o.cleanup()
	}
}

// resize plans another size for a replica set and tells whether it is another.
func (o *rollout) resize(rs *appsv1.ReplicaSet, n int32, why string) bool {
	before := size(rs)
	if before == n {
		return false
	}
	o.setSize(rs, n, why)
	return true
}

// setSize writes the size and what the deployment wants in all, where either differs.
func (o *rollout) setSize(rs *appsv1.ReplicaSet, n int32, why string) {
	before := size(rs)
	changed := o.annotateSize(rs)
	if before == n && !changed {
		return
	}
	rs.Spec.Replicas = &n
	a := controller.Action{Do: controller.Update, Kind: apps.ReplicaSet, Object: rs.DeepCopy(), Reason: why}
	if before != n {
		a.Reason = fmt.Sprintf("scaled from %d to %d: %s", before, n, why)
		a.Event = o.scaled(rs, before, n)
	}
	o.plan = append(o.plan, a)
}

func (o *rollout) scaled(rs *appsv1.ReplicaSet, from, to int32) *controller.Event {
	direction := "up"
	if to < from {
		direction = "down"
	}
	return &controller.Event{Kind: apps.Deployment, About: o.seen, Reason: "ScalingReplicaSet",
		Message: fmt.Sprintf("Scaled %s replica set %s from %d to %d", direction, rs.Name, from, to)}
}

// create plans the replica set of the current template, with as many pods as may start now.
func (o *rollout) create(revision int64) {
	hash := templateHash(&o.d.Spec.Template, o.d.Status.CollisionCount)
	template := *o.d.Spec.Template.DeepCopy()
	template.Labels = labels.Merge(template.Labels, labels.Set{appsv1.DefaultDeploymentUniqueLabelKey: hash})
	selector := o.d.Spec.Selector.DeepCopy()
	selector.MatchLabels = labels.Merge(selector.MatchLabels, labels.Set{appsv1.DefaultDeploymentUniqueLabelKey: hash})
	rs := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Name: o.d.Name + "-" + hash, Namespace: o.d.Namespace, Labels: template.Labels,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(o.d, apps.Deployment.GVK())},
		},
		Spec: appsv1.ReplicaSetSpec{MinReadySeconds: o.d.Spec.MinReadySeconds, Selector: selector, Template: template},
	}
	n := o.replicas()
	if o.d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType {
		n = o.surgeRoom(n)
	}
	rs.Spec.Replicas = &n
	o.annotate(rs, revision)
	o.annotateSize(rs)
	a := controller.Action{Do: controller.Create, Kind: apps.ReplicaSet, Object: rs, Reason: fmt.Sprintf("no replica set has this template; revision %d, %d of %d pods", revision, n, o.replicas())}
	if n > 0 {
		a.Event = o.scaled(rs, 0, n)
	}
	o.plan = append(o.plan, a)
	o.current = rs.DeepCopy()
}
