package statefulset

import (
	"fmt"
	"math"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"gantry/agents/controllers/controller"
	"gantry/agents/controllers/history"
	"gantry/schema/apps"
	"gantry/schema/core"
	"gantry/schema/pods"
)

// observed is what a plan is made of.
type observed struct {
	set       *appsv1.StatefulSet
	revisions []*appsv1.ControllerRevision // of the set
	members   []member                     // the pods of the set
	claims    map[string]*corev1.PersistentVolumeClaim
	// failedWait is how long a failed pod of an ordinal stays; 0: it goes now.
	failedWait func(ordinal int) time.Duration
	now        time.Time
}

// plan is what a set needs. Each part is executed in order. Without its revision nothing else is done; pods that cannot be changed do not keep
// the status from being written.
type plan struct {
	history.Plan
	failedOrdinals []int         // of pods that are deleted because they have ended
	after          time.Duration // when to reconcile again; 0: when something changes
}

// planner makes one plan.
type planner struct {
	observed
	plan
	current, update                 *appsv1.ControllerRevision // what pods are updated from and to
	currentTemplate, updateTemplate *corev1.PodTemplateSpec
	byIndex                         map[int]member // pods in the range of ordinals, by how far they are above its start
	condemned                       []member       // pods out of that range, the lowest ordinal first
	replaced                        int32          // pods of the current revision that are deleted to be updated
}

// maxCreated bounds how many pods one reconciliation creates; the next one goes on.
const maxCreated = 1000

// planSet decides what a set needs now. The error is about a revision that cannot be read.
func planSet(o observed) (plan, error) {
	p := &planner{observed: o, byIndex: map[int]member{}}
	history.Sort(p.revisions)
	if p.set.DeletionTimestamp != nil {
		p.planStatus(p.set.Status.CurrentRevision, p.set.Status.UpdateRevision)
		return p.plan, nil
	}
	if err := p.findRevisions(); err != nil {
		return plan{}, err
	}
	slices.SortFunc(p.members, byOrdinal)
	for _, m := range p.members {
		if inRange(p.set, m.ordinal) {
			p.byIndex[m.ordinal-start(p.set)] = m
		} else {
			p.condemned = append(p.condemned, m)
		}
	}
	if p.replicas() && p.scaleDown() {
		p.rollOut()
	}
	p.planStatus(p.current.Name, p.update.Name)
	p.truncate()
	return p.plan, nil
}

// hashLabel is the label of revisions with the hash of their template. Pods have the revision's name.
const hashLabel = "controller.kubernetes.io/hash"

func owner(set *appsv1.StatefulSet) history.Owner {
	return history.Owner{Kind: apps.StatefulSet, Object: set, Template: &set.Spec.Template, Collisions: set.Status.CollisionCount, HashLabel: hashLabel}
}

// findRevisions finds the revisions that pods are updated from and to.
func (p *planner) findRevisions() (err error) {
	p.update, _, p.Revision = history.Current(owner(p.set), p.revisions)
	p.updateTemplate = &p.set.Spec.Template
	p.current, p.currentTemplate = p.update, p.updateTemplate
	for _, r := range p.revisions {
		if r.Name == p.set.Status.CurrentRevision && r.Name != p.update.Name {
			p.current = r
			p.currentTemplate, err = history.Template(r)
		}
	}
	return err
}

// burst returns whether pods need not wait for each other.
func (p *planner) burst() bool { return p.set.Spec.PodManagementPolicy == appsv1.ParallelPodManagement }

// replica is the pod of an index as it is, or as it is to be created: then it has no uid.
func (p *planner) replica(index int) member {
	if m, ok := p.byIndex[index]; ok {
		return m
	}
	ordinal := start(p.set) + index
	template, revision := p.updateTemplate, p.update.Name
	rolling := p.set.Spec.UpdateStrategy.RollingUpdate
	if rolling != nil && index < partition(p.set) || rolling == nil && p.set.Spec.UpdateStrategy.Type == appsv1.RollingUpdateStatefulSetStrategyType && index < int(p.set.Status.CurrentReplicas) {
		template, revision = p.currentTemplate, p.current.Name
	}
	return member{ordinal, newPod(p.set, template, revision, ordinal)}
}

// replicas plans the pods in the range of ordinals. It returns whether scaling down and updates may go on.
func (p *planner) replicas() bool {
	created := 0
	for i := range replicas(p.set) {
		m := p.replica(i)
		if m.pod.UID == "" {
			if created++; created > maxCreated {
				break
			}
		}
		if !p.planReplica(m) && !p.burst() {
			return false
		}
	}
	return true
}

// planReplica plans what one pod needs. It returns false where the next one must wait for this one.
func (p *planner) planReplica(m member) bool {
	terminating := m.pod.DeletionTimestamp != nil
	switch {
	case pods.IsTerminal(m.pod):
		if !terminating {
			p.replaceEnded(m)
		}
		return false
	case m.pod.UID == "":
		if !p.hasStaleClaim(m) && p.createClaims(m) {
			p.ownClaims(m)
			p.create(m)
		}
		return false
	case m.pod.Status.Phase == corev1.PodPending:
		if !p.createClaims(m) {
			return false
		}
		p.ownClaims(m)
	}
	if !p.burst() && (terminating || m.pod.Status.Phase != corev1.PodRunning || !p.available(m)) {
		return false
	}
	p.repair(m)
	return true
}

// replaceEnded deletes a pod that has ended, whatever ended it. After another one of its ordinal it stays for a while.
func (p *planner) replaceEnded(m member) {
	if wait := p.failedWait(m.ordinal); wait > 0 {
		p.after = controller.Sooner(p.after, wait)
		return
	}
	p.failedOrdinals = append(p.failedOrdinals, m.ordinal)
	p.delete(m, "it has ended; another one follows")
}

// repair gives a pod the labels and volumes of its ordinal, and its claims their owners.
func (p *planner) repair(m member) {
	if m.pod.Status.Phase != corev1.PodPending {
		p.ownClaims(m)
	}
	if hasIdentity(m.pod) && hasVolumes(p.set, m.pod, m.ordinal) {
		return
	}
	if m.pod.Status.Phase != corev1.PodPending && !p.createClaims(m) {
		return
	}
	c := m.pod.DeepCopy()
	setIdentity(c, m.ordinal)
	if !hasVolumes(p.set, c, m.ordinal) {
		setVolumes(p.set, c, m.ordinal)
	}
	p.Pods = append(p.Pods, controller.Action{Do: controller.Update, Kind: core.Pod, Object: c, Bulk: p.burst(), Reason: "labels and volumes of its ordinal",
		Event:  p.event("SuccessfulUpdate", "Update Pod %s in StatefulSet %s successful", c.Name, p.set.Name),
		Failed: p.event("FailedUpdate", "Update Pod %s in StatefulSet %s failed error: ", c.Name, p.set.Name)})
}

func (p *planner) create(m member) {
	p.Pods = append(p.Pods, controller.Action{Do: controller.Create, Kind: core.Pod, Object: m.pod, Bulk: p.burst(),
		Reason: fmt.Sprintf("%d of %d pods, revision %s", len(p.byIndex), replicas(p.set), revisionOf(m.pod)),
		Event:  p.event("SuccessfulCreate", "Create Pod %s in StatefulSet %s successful", m.pod.Name, p.set.Name),
		Failed: p.event("FailedCreate", "Create Pod %s in StatefulSet %s failed error: ", m.pod.Name, p.set.Name)})
}

func (p *planner) delete(m member, reason string) {
	p.Pods = append(p.Pods, controller.Action{Do: controller.Delete, Kind: core.Pod, Object: m.pod, Bulk: p.burst(), Reason: reason,
		Event:  p.event("SuccessfulDelete", "Delete Pod %s in StatefulSet %s successful", m.pod.Name, p.set.Name),
		Failed: p.event("FailedDelete", "Delete Pod %s in StatefulSet %s failed error: ", m.pod.Name, p.set.Name)})
}

// available returns whether a pod has been ready for long enough.
func (p *planner) available(m member) bool {
	available, _ := controller.PodAvailable(m.pod, p.set.Spec.MinReadySeconds, p.now)
	return available
}

func (p *planner) unavailable(m member) bool {
	return m.pod.DeletionTimestamp != nil || !p.available(m)
}

// scaleDown plans the end of the pods out of the range of ordinals, from the highest down. It returns whether updates may go on.
func (p *planner) scaleDown() bool {
	for _, m := range p.condemned {
		p.ownClaims(m)
	}
	// An unavailable pod may be the one to go, where no pod of a lower ordinal is unavailable: all others would wait for it.
	lowest := slices.IndexFunc(p.condemned, p.unavailable)
	for i := len(p.condemned) - 1; i >= 0; i-- {
		m := p.condemned[i]
		switch {
		case m.pod.DeletionTimestamp != nil:
			if !p.burst() {
				return false
			}
			continue
		case !p.burst() && i != lowest && (m.pod.Status.Phase != corev1.PodRunning || !p.available(m)):
			return false
		}
		p.delete(m, fmt.Sprintf("scaled down: ordinals are %d to %d", start(p.set), start(p.set)+replicas(p.set)-1))
		if !p.burst() {
			return false
		}
	}
	return true
}

func partition(set *appsv1.StatefulSet) int {
	if r := set.Spec.UpdateStrategy.RollingUpdate; r != nil && r.Partition != nil {
		return int(*r.Partition)
	}
	return 0
}

// rollOut plans the deletion of pods of another revision than the update's, from the highest ordinal down to the partition.
func (p *planner) rollOut() {
	if p.set.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
		return
	}
	most, set := p.maxUnavailable()
	if set {
		n := replicas(p.set)
		for _, m := range p.byIndex {
			if !p.unavailable(m) {
				n--
			}
		}
		most -= n
	}
	for i := replicas(p.set) - 1; i >= partition(p.set) && most > 0; i-- {
		m, there := p.byIndex[i]
		switch {
		case there && revisionOf(m.pod) != p.update.Name && m.pod.DeletionTimestamp == nil:
			p.delete(m, "its revision is "+revisionOf(m.pod)+", the update is "+p.update.Name)
			if revisionOf(m.pod) == p.current.Name {
				p.replaced++
			}
			most--
		case set:
		case !there || p.unavailable(m):
			return
		}
	}
}

// maxUnavailable is how many pods an update may make unavailable; false: the set does not say, and each updated pod is waited for.
func (p *planner) maxUnavailable() (n int, set bool) {
	r := p.set.Spec.UpdateStrategy.RollingUpdate
	if r == nil || r.MaxUnavailable == nil {
		return 1, false
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(r.MaxUnavailable, replicas(p.set), false)
	if err != nil {
		return 1, true
	}
	return min(max(n, 1), math.MaxInt32), true
}

// truncate plans the end of revisions that no pod has, beyond the history limit.
func (p *planner) truncate() {
	live := map[string]bool{p.current.Name: true, p.update.Name: true}
	for _, m := range p.members {
		live[revisionOf(m.pod)] = true
	}
	old := slices.DeleteFunc(slices.Clone(p.revisions), func(r *appsv1.ControllerRevision) bool { return live[r.Name] })
	p.History = history.Truncate(old, func(*appsv1.ControllerRevision) bool { return false }, p.set.Spec.RevisionHistoryLimit)
}
