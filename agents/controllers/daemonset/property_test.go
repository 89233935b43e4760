package daemonset

import (
	"fmt"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"gantry/agents/controllers/controller"
	"gantry/agents/controllers/plantest"
	"gantry/schema/apps"
)

// sim is a cluster with one daemon set, whose pods become ready, break and end when told.
type sim struct {
	observed
	made               int
	surge, unavailable int // allowed
}

func newSim(t *rapid.T) *sim {
	s := &sim{}
	if rapid.Bool().Draw(t, "surges") {
		s.surge = rapid.IntRange(1, 3).Draw(t, "surge")
	} else {
		s.unavailable = rapid.IntRange(1, 3).Draw(t, "unavailable")
	}
	s.ds = &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", UID: "uid-web", Generation: 1},
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "web:0"}}}},
			UpdateStrategy: appsv1.DaemonSetUpdateStrategy{Type: appsv1.RollingUpdateDaemonSetStrategyType, RollingUpdate: &appsv1.RollingUpdateDaemonSet{
				MaxSurge: ptr.To(intstr.FromInt32(int32(s.surge))), MaxUnavailable: ptr.To(intstr.FromInt32(int32(s.unavailable)))}},
		},
	}
	apps.DaemonSet.Default(s.ds)
	for i := range rapid.IntRange(1, 6).Draw(t, "nodes") {
		s.nodes = append(s.nodes, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("n", i)}})
	}
	s.now = plantest.Now
	s.failedWait = func(string) time.Duration { return 0 }
	return s
}

// without counts the nodes that may run a pod and have no available one.
func (s *sim) without() (n int) {
	for _, node := range s.nodes {
		if run, _ := newEligibility(&s.ds.Spec.Template).on(node); run && !slices.ContainsFunc(s.podList, func(p *corev1.Pod) bool {
			available, _ := controller.PodAvailable(p, 0, s.now)
			return nodeOf(p) == node.Name && available && p.DeletionTimestamp == nil
		}) {
			n++
		}
	}
	return n
}

// surging counts the nodes that have both an available pod and one that is not.
func (s *sim) surging() (n int) {
	for _, node := range s.nodes {
		var available, others int
		for _, p := range s.podList {
			if ok, _ := controller.PodAvailable(p, 0, s.now); nodeOf(p) != node.Name || p.DeletionTimestamp != nil {
				continue
			} else if ok {
				available++
			} else {
				others++
			}
		}
		if available > 0 && others > 0 {
			n++
		}
	}
	return n
}

// step plans and does what is planned; it returns the plan.
func (s *sim) step(t *rapid.T) plan {
	o := s.observed
	o.podList, o.revisions = slices.Clone(s.podList), slices.Clone(s.revisions)
	p := planSet(o)
	for _, a := range p.All() {
		s.do(t, a)
	}
	return p
}

func (s *sim) do(t *rapid.T, a controller.Action) {
	s.made++
	switch obj := a.Object.(type) {
	case *appsv1.DaemonSet:
		s.ds.Status = obj.Status
	case *appsv1.ControllerRevision:
		i := slices.IndexFunc(s.revisions, func(r *appsv1.ControllerRevision) bool { return r.Name == obj.Name })
		switch a.Do {
		case controller.Create:
			s.revisions = append(s.revisions, obj)
		case controller.Update:
			s.revisions[i] = obj
		case controller.Delete:
			s.revisions = slices.Delete(s.revisions, i, i+1)
		}
	case *corev1.Pod:
		i := slices.IndexFunc(s.podList, func(p *corev1.Pod) bool { return p.Name == obj.Name })
		if (a.Do == controller.Create) != (i < 0) {
			t.Fatalf("%s: %d of the pods has this name", a, i)
		}
		switch a.Do {
		case controller.Create:
			obj.UID, obj.Status.Phase, obj.CreationTimestamp = types.UID(fmt.Sprint("uid-", s.made)), corev1.PodPending, metav1.NewTime(s.now.Add(time.Duration(s.made-100_000)*time.Second))
			s.podList = append(s.podList, obj)
		case controller.Delete:
			s.podList[i] = obj.DeepCopy()
			plantest.Deleting(s.podList[i])
		}
	}
}

func (s *sim) set(i int, phase corev1.PodPhase, ready bool) {
	p := s.podList[i].DeepCopy()
	p.Spec.NodeName, p.Status.Phase, p.Status.Conditions = nodeOf(p), phase, nil
	if ready {
		plantest.SetReady(p, corev1.ConditionTrue, s.now.Add(-time.Minute))
	}
	s.podList[i] = p
}

// settle lets pods that are being deleted go, and every other one that has not ended become available.
func (s *sim) settle() {
	s.podList = slices.DeleteFunc(s.podList, func(p *corev1.Pod) bool { return p.DeletionTimestamp != nil })
	for i, p := range s.podList {
		if p.Status.Phase == corev1.PodPending || p.Status.Phase == corev1.PodRunning {
			s.set(i, corev1.PodRunning, true)
		}
	}
}

// Whatever happens to its pods, nodes and template, an update keeps its limits, and in the end every node has one pod of the template.
func TestUpdateKeepsItsLimits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSim(t)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				ds := s.ds.DeepCopy()
				ds.Spec.Template.Spec.Containers[0].Image = fmt.Sprintf("web:%d", rapid.IntRange(0, 3).Draw(t, "image"))
				apps.DaemonSet.PrepareUpdate(ds, s.ds)
				s.ds = ds
			case 1:
				i := rapid.IntRange(0, len(s.nodes)-1).Draw(t, "node")
				node := s.nodes[i].DeepCopy()
				node.Spec.Taints = rapid.SampledFrom([][]corev1.Taint{nil, {{Key: "a", Effect: corev1.TaintEffectNoSchedule}}}).Draw(t, "taints")
				s.nodes[i] = node
			case 2, 3, 4, 5:
				if len(s.podList) == 0 {
					continue
				}
				i := rapid.IntRange(0, len(s.podList)-1).Draw(t, "pod")
				if s.podList[i].DeletionTimestamp != nil {
					s.podList = slices.Delete(s.podList, i, i+1)
					continue
				}
				switch rapid.IntRange(0, 5).Draw(t, "becomes") {
				case 0:
					s.set(i, corev1.PodFailed, false)
				case 1:
					s.set(i, corev1.PodRunning, false)
				default:
					s.set(i, corev1.PodRunning, true)
				}
			default:
				s.checkStep(t)
			}
		}
		for range 200 {
			s.settle()
			if p := s.step(t); len(p.All()) == 0 {
				break
			}
		}
		s.checkEnd(t)
	})
}

func (s *sim) checkStep(t *rapid.T) {
	without, surging := s.without(), s.surging()
	s.step(t)
	if n := s.without(); n > max(without, s.unavailable) {
		t.Fatalf("%d nodes are without an available pod, were %d, want at most %d", n, without, s.unavailable)
	}
	if n := s.surging(); n > max(surging, s.surge) {
		t.Fatalf("%d nodes have a new pod beside an available one, were %d, want at most %d", n, surging, s.surge)
	}
}

func (s *sim) checkEnd(t *rapid.T) {
	byNode := map[string]int{}
	for _, p := range s.podList {
		byNode[nodeOf(p)]++
		if got, want := p.Spec.Containers[0].Image, s.ds.Spec.Template.Spec.Containers[0].Image; got != want && s.mayRun(nodeOf(p)) {
			t.Fatalf("pod %s of %s runs %s in the end, want %s", p.Name, nodeOf(p), got, want)
		}
	}
	for _, node := range s.nodes {
		if n := byNode[node.Name]; n > 1 || n < 1 && s.mayRun(node.Name) {
			t.Fatalf("node %s has %d pods in the end", node.Name, n)
		}
	}
	if p := s.step(t); len(p.All()) > 0 {
		t.Fatalf("a repeat of the plan is not empty: %s", render(p))
	}
}

func (s *sim) mayRun(name string) bool {
	i := slices.IndexFunc(s.nodes, func(n *corev1.Node) bool { return n.Name == name })
	run, _ := newEligibility(&s.ds.Spec.Template).on(s.nodes[i])
	return run
}
