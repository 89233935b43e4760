package daemonset

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"gantry/agents/controllers/controller"
	"gantry/agents/controllers/history"
	"gantry/registry"
	"gantry/schema/apps"
	"gantry/schema/core"
	"gantry/schema/pods"
)

// observed is what a plan is made of.
type observed struct {
	ds        *appsv1.DaemonSet
	nodes     []*corev1.Node // by name
	revisions []*appsv1.ControllerRevision
	podList   []*corev1.Pod // of the set
	// failedWait is how long a failed pod of a node stays; 0: it goes now.
	failedWait func(node string) time.Duration
	now        time.Time
}

// plan is what a set needs. Each part is executed in order. Without its revision nothing else is done; pods that cannot be changed do not keep
// the status from being written.
type plan struct {
	history.Plan
	failedOn []string      // nodes of which a failed pod is deleted
	after    time.Duration // when to reconcile again; 0: when something changes
}

// planner makes one plan.
type planner struct {
	observed
	plan
	eligibility
	hash   string                   // of the current revision
	byNode map[string][]*corev1.Pod // pods that have not ended and gone, by the node they are for
	create []creation
	delete []deletion
}

type creation struct{ node, reason string }

type deletion struct {
	pod    *corev1.Pod
	reason string
}

// burst bounds how many pods one reconciliation creates, and how many it deletes; the next one goes on.
const burst = 250

// planSet decides what a set needs now.
func planSet(o observed) plan {
	if o.ds.DeletionTimestamp != nil {
		return plan{} // its pods and revisions go or are left behind in any order
	}
	p := &planner{observed: o, eligibility: newEligibility(&o.ds.Spec.Template), byNode: map[string][]*corev1.Pod{}}
	p.findRevision()
	for _, pod := range p.podList {
		if node := nodeOf(pod); node != "" && !pods.IsTerminalAndDeleted(pod) {
			p.byNode[node] = append(p.byNode[node], pod)
		}
	}
	for _, list := range p.byNode {
		slices.SortFunc(list, olderPod)
	}
	p.manage()
	// An update goes on when there is nothing else to do: it counts the pods that are there.
	if len(p.create)+len(p.delete) == 0 && p.ds.Spec.UpdateStrategy.Type == appsv1.RollingUpdateDaemonSetStrategyType {
		p.rollOut()
	}
	p.planPods()
	p.planStatus()
	return p.plan
}

// olderPod sorts pods on their node before those that wait for it, then by age.
func olderPod(a, b *corev1.Pod) int {
	if onNode := (a.Spec.NodeName != ""); onNode != (b.Spec.NodeName != "") {
		if onNode {
			return -1
		}
		return 1
	}
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
}

func (p *planner) add(node, reason string) { p.create = append(p.create, creation{node, reason}) }

func (p *planner) remove(pod *corev1.Pod, reason string) {
	p.delete = append(p.delete, deletion{pod, reason})
}

// manage gives every node that may run a pod one, and takes away what is too much.
func (p *planner) manage() {
	there := map[string]bool{}
	for _, node := range p.nodes {
		there[node.Name] = true
		run, stay := p.on(node)
		list, exists := p.byNode[node.Name]
		switch {
		case run && !exists:
			p.add(node.Name, "node "+node.Name+" has none")
		case stay:
			p.manageNode(node, list, run)
		case exists:
			for _, pod := range list {
				if pod.DeletionTimestamp == nil {
					p.remove(pod, "node "+node.Name+" may not run it")
				}
			}
		}
	}
	// Pods that wait for a node that is gone would never be bound, and no kubelet and no collector would delete them.
	for _, name := range slices.Sorted(maps.Keys(p.byNode)) {
		for _, pod := range p.byNode[name] {
			if !there[name] && pod.Spec.NodeName == "" && pod.DeletionTimestamp == nil {
				p.remove(pod, "there is no node "+name)
			}
		}
	}
}

// manageNode deletes pods that have ended, and all but one of the others; two, while a surge replaces one by the other.
func (p *planner) manageNode(node *corev1.Node, list []*corev1.Pod, run bool) {
	var running []*corev1.Pod
	for _, pod := range list {
		switch {
		case pod.DeletionTimestamp != nil:
		case pod.Status.Phase == corev1.PodFailed:
			p.removeFailed(node, pod)
		case pod.Status.Phase == corev1.PodSucceeded:
			p.Events = append(p.Events, p.event("SucceededDaemonPod", "Found succeeded daemon pod %s/%s on node %s, will try to delete it", pod.Namespace, pod.Name, node.Name))
			p.remove(pod, "it has ended; another one follows")
		default:
			running = append(running, pod)
		}
	}
	switch {
	case surgeOf(p.ds, 1) == 0:
		for _, pod := range running[min(len(running), 1):] {
			p.remove(pod, "there is another one on node "+node.Name)
		}
	case len(running) == 0 && run:
		p.add(node.Name, "node "+node.Name+" has none")
	case len(running) > 1:
		p.manageSurge(node, running)
	}
}

func (p *planner) removeFailed(node *corev1.Node, pod *corev1.Pod) {
	if wait := p.failedWait(node.Name); wait > 0 {
		p.after = controller.Sooner(p.after, wait)
		return
	}
	ev := p.event("FailedDaemonPod", "Found failed daemon pod %s/%s on node %s, will try to kill it", pod.Namespace, pod.Name, node.Name)
	ev.Warning = true
	p.Events = append(p.Events, ev)
	p.failedOn = append(p.failedOn, node.Name)
	p.remove(pod, "it has failed; another one follows")
}

// manageSurge leaves one of the new and one of the old pods: the old one as long as it is ready and the new one is not available.
func (p *planner) manageSurge(node *corev1.Node, running []*corev1.Pod) {
	var lists [2][]*corev1.Pod
	for _, pod := range running {
		i := 0
		if pod.Labels[hashLabel] != p.hash {
			i = 1
		}
		lists[i] = append(lists[i], pod)
	}
	updated, old := p.leaveOne(node, lists[0]), p.leaveOne(node, lists[1])
	switch {
	case updated == nil || old == nil:
	case !pods.IsReady(old):
		p.remove(old, "it is not ready, and there is a new one on node "+node.Name)
	case p.available(updated):
		p.remove(old, "the new one on node "+node.Name+" is available")
	}
}

// leaveOne removes all pods but the oldest that is available or, where none is, the oldest. nil: there are none.
func (p *planner) leaveOne(node *corev1.Node, list []*corev1.Pod) *corev1.Pod {
	if len(list) == 0 {
		return nil
	}
	left := list[max(slices.IndexFunc(list, p.available), 0)]
	for _, pod := range list {
		if pod != left {
			p.remove(pod, "there is another one on node "+node.Name)
		}
	}
	return left
}

func (p *planner) available(pod *corev1.Pod) bool {
	available, _ := controller.PodAvailable(pod, p.ds.Spec.MinReadySeconds, p.now)
	return available
}

// planPods turns what was decided into actions.
func (p *planner) planPods() {
	creates := p.create[:min(len(p.create), burst)]
	seed := controller.NewNameSeed(p.ds)
	taken := map[string]bool{}
	for _, pod := range p.podList {
		seed.Add(string(pod.UID))
		taken[pod.Name] = true
	}
	// The minute gets past a foreign pod that took a name.
	seed.Add(p.ds.ResourceVersion, p.now.Truncate(time.Minute).UTC().String())
	for i, name := range seed.Names(p.ds.Name, len(creates), taken) {
		p.Pods = append(p.Pods, controller.Action{Do: controller.Create, Kind: core.Pod, Object: p.newPod(name, creates[i].node), Bulk: true, Reason: creates[i].reason,
			Event:  p.event("SuccessfulCreate", "Created pod: %s", name),
			Failed: p.event("FailedCreate", "Error creating: ")})
	}
	for _, d := range p.delete[:min(len(p.delete), burst)] {
		p.Pods = append(p.Pods, controller.Action{Do: controller.Delete, Kind: core.Pod, Object: d.pod, Bulk: true, Reason: d.reason,
			DeleteOptions: registry.DeleteOptions{Propagation: "Background"},
			Event:         p.event("SuccessfulDelete", "Deleted pod: %s", d.pod.Name),
			Failed:        p.event("FailedDelete", "Error deleting: ")})
	}
	if len(p.create) > burst || len(p.delete) > burst {
		p.after = controller.RequeueNow
	}
}

func (p *planner) newPod(name, node string) *corev1.Pod {
	t := p.ds.Spec.Template.DeepCopy()
	t.Labels = labels.Merge(t.Labels, labels.Set{hashLabel: p.hash})
	if generation := generationOf(p.ds); generation != "" {
		t.Labels[generationLabel] = generation
	}
	addTolerations(&t.Spec)
	setNode(&t.Spec, node)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, GenerateName: p.ds.Name + "-", Namespace: p.ds.Namespace,
			Labels: t.Labels, Annotations: t.Annotations, Finalizers: t.Finalizers,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(p.ds, apps.DaemonSet.GVK())},
		},
		Spec: t.Spec,
	}
}

func (p *planner) event(reason, format string, args ...any) *controller.Event {
	return &controller.Event{Kind: apps.DaemonSet, About: p.ds, Reason: reason, Message: fmt.Sprintf(format, args...)}
}
