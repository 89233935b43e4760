package daemonset

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/labels"

	"gantry/agents/controllers/controller"
	"gantry/agents/controllers/history"
	"gantry/schema/apps"
	"gantry/schema/core"
	"gantry/schema/pods"
)

// hashLabel is the label of revisions and of pods with the hash of their template.
const hashLabel = appsv1.ControllerRevisionHashLabelKey

func owner(ds *appsv1.DaemonSet) history.Owner {
	return history.Owner{Kind: apps.DaemonSet, Object: ds, Template: &ds.Spec.Template, Collisions: ds.Status.CollisionCount, HashLabel: hashLabel}
}

// findRevision finds the revision of the current template, and plans what its history needs: its creation or another number, a hash for
// those without, and the end of doubles and of those beyond the limit.
func (p *planner) findRevision() {
	for i, r := range p.revisions {
		if r.Labels[hashLabel] == "" {
			r = r.DeepCopy()
			r.Labels = labels.Merge(r.Labels, labels.Set{hashLabel: r.Name})
			p.revisions[i] = r
			p.Revision = append(p.Revision, controller.Action{Do: controller.Update, Kind: apps.ControllerRevision, Object: r, Reason: "it has no hash"})
		}
	}
	history.Sort(p.revisions)
	current, doubles, plan := history.Current(owner(p.ds), p.revisions)
	p.Revision = append(p.Revision, plan...)
	p.hash = current.Labels[hashLabel]
	isDouble := map[string]bool{}
	for _, r := range doubles {
		isDouble[r.Labels[hashLabel]] = true
	}
	live := map[string]bool{}
	for i, pod := range p.podList {
		hash := pod.Labels[hashLabel]
		live[hash] = true
		if !isDouble[hash] {
			continue
		}
		pod = pod.DeepCopy()
		pod.Labels[hashLabel] = p.hash
		p.podList[i] = pod
		p.Revision = append(p.Revision, controller.Action{Do: controller.Update, Kind: core.Pod, Object: pod, Reason: "its revision is the double of another"})
	}
	for _, r := range doubles {
		p.Revision = append(p.Revision, controller.Action{Do: controller.Delete, Kind: apps.ControllerRevision, Object: r, Reason: "the double of " + current.Name})
	}
	var old []*appsv1.ControllerRevision
	for _, r := range p.revisions {
		if hash := r.Labels[hashLabel]; r.Name != current.Name && !isDouble[hash] {
			old = append(old, r)
		}
	}
	p.History = history.Truncate(old, func(r *appsv1.ControllerRevision) bool { return live[r.Labels[hashLabel]] }, p.ds.Spec.RevisionHistoryLimit)
}

// planStatus plans the status that follows from the pods as they were observed, where it differs.
func (p *planner) planStatus() {
	s := p.ds.Status.DeepCopy()
	s.ObservedGeneration = p.ds.Generation
	s.DesiredNumberScheduled, s.CurrentNumberScheduled, s.NumberMisscheduled = 0, 0, 0
	s.NumberReady, s.NumberAvailable, s.UpdatedNumberScheduled = 0, 0, 0
	for _, node := range p.nodes {
		list := p.byNode[node.Name]
		if run, _ := p.on(node); !run {
			if len(list) > 0 {
				s.NumberMisscheduled++
			}
			continue
		}
		s.DesiredNumberScheduled++
		if len(list) == 0 {
			continue
		}
		s.CurrentNumberScheduled++
		pod := list[0]
		if pods.IsReady(pod) {
			s.NumberReady++
		}
		if p.available(pod) {
			s.NumberAvailable++
		}
		if isUpdated(p.ds, pod, p.hash) {
			s.UpdatedNumberScheduled++
		}
		for _, pod := range list {
			_, wait := controller.PodAvailable(pod, p.ds.Spec.MinReadySeconds, p.now)
			p.after = controller.Sooner(p.after, wait)
		}
	}
	s.NumberUnavailable = s.DesiredNumberScheduled - s.NumberAvailable
	if equality.Semantic.DeepEqual(*s, p.ds.Status) {
		return
	}
	c := p.ds.DeepCopy()
	c.Status = *s
	p.Status = []controller.Action{{Do: controller.UpdateStatus, Kind: apps.DaemonSet, Object: c,
		Reason: fmt.Sprintf("%d of %d nodes have a pod, %d available, %d updated", s.CurrentNumberScheduled, s.DesiredNumberScheduled, s.NumberAvailable, s.UpdatedNumberScheduled)}}
}
