package statefulset

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

// sim is a cluster with one stateful set, whose pods become ready, break and end when told.
type sim struct {
	observed
	made int
}

func newSim(t *rapid.T) *sim {
	set := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", UID: "uid-web", Generation: 1},
		Spec: appsv1.StatefulSetSpec{
			Replicas: ptr.To(rapid.Int32Range(0, 6).Draw(t, "replicas")), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
			Template:             corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "web:0"}}}},
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}}},
			PodManagementPolicy:  rapid.SampledFrom([]appsv1.PodManagementPolicyType{appsv1.OrderedReadyPodManagement, appsv1.ParallelPodManagement}).Draw(t, "policy"),
			Ordinals:             &appsv1.StatefulSetOrdinals{Start: rapid.Int32Range(0, 3).Draw(t, "start")},
		},
	}
	if rapid.Bool().Draw(t, "bounded") {
		set.Spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{MaxUnavailable: ptr.To(intstr.FromInt32(rapid.Int32Range(1, 4).Draw(t, "maxUnavailable")))}
		set.Spec.UpdateStrategy.Type = appsv1.RollingUpdateStatefulSetStrategyType
	}
	apps.StatefulSet.Default(set)
	return &sim{observed: observed{set: set, claims: map[string]*corev1.PersistentVolumeClaim{}, failedWait: func(int) time.Duration { return 0 }, now: plantest.Now}}
}

// unavailable counts pods of the range that are missing or not available.
func (s *sim) unavailable() int {
	n := replicas(s.set)
	for _, m := range s.members {
		if available, _ := controller.PodAvailable(m.pod, 0, s.now); inRange(s.set, m.ordinal) && available && m.pod.DeletionTimestamp == nil {
			n--
		}
	}
	return n
}

// step plans and does what is planned; it returns the plan.
func (s *sim) step(t *rapid.T) plan {
	o := s.observed
	o.members, o.revisions = slices.Clone(s.members), slices.Clone(s.revisions)
	p, err := planSet(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range p.All() {
		s.do(t, a)
	}
	return p
}

func (s *sim) do(t *rapid.T, a controller.Action) {
	s.made++
	uid := types.UID(fmt.Sprint("uid-", s.made))
	switch obj := a.Object.(type) {
	case *appsv1.StatefulSet:
		s.set.Status = obj.Status
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
	case *corev1.PersistentVolumeClaim:
		s.claims[obj.Name] = obj
	case *corev1.Pod:
		i := slices.IndexFunc(s.members, func(m member) bool { return m.pod.Name == obj.Name })
		ordinal, ok := ordinalOf(s.set, obj)
		if !ok || (a.Do == controller.Create) != (i < 0) {
			t.Fatalf("%s: %d of the pods has this name", a, i)
		}
		switch a.Do {
		case controller.Create:
			obj.UID, obj.Status.Phase = uid, corev1.PodPending
			if s.claims[fmt.Sprintf("data-%s", obj.Name)] == nil {
				t.Fatalf("pod %s is made before its claim", obj.Name)
			}
			s.members = append(s.members, member{ordinal, obj})
		case controller.Delete:
			s.members[i].pod = obj.DeepCopy()
			plantest.Deleting(s.members[i].pod)
		}
	}
}

// settle lets pods that are being deleted go, and every other one become available.
func (s *sim) settle() {
	s.members = slices.DeleteFunc(s.members, func(m member) bool { return m.pod.DeletionTimestamp != nil })
	for i := range s.members {
		s.setReady(i, true)
	}
}

func (s *sim) setReady(i int, ready bool) {
	p := s.members[i].pod.DeepCopy()
	p.Status.Phase, p.Status.Conditions = corev1.PodRunning, nil
	if ready {
		plantest.SetReady(p, corev1.ConditionTrue, s.now.Add(-time.Minute))
	}
	s.members[i].pod = p
}

// Whatever happens to its pods and its spec, a set takes away no pod too many, and in the end has its pods, of the right revisions.
func TestSetKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSim(t)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				s.set.Spec.Template.Spec.Containers[0].Image = fmt.Sprintf("web:%d", rapid.IntRange(0, 3).Draw(t, "image"))
			case 1:
				s.set.Spec.Replicas = ptr.To(rapid.Int32Range(0, 6).Draw(t, "replicas"))
			case 2:
				s.set.Spec.UpdateStrategy.RollingUpdate.Partition = ptr.To(rapid.Int32Range(0, 6).Draw(t, "partition"))
			case 3, 4, 5:
				if len(s.members) > 0 {
					i := rapid.IntRange(0, len(s.members)-1).Draw(t, "pod")
					if s.members[i].pod.DeletionTimestamp != nil || rapid.IntRange(0, 9).Draw(t, "vanishes") == 0 {
						s.members = slices.Delete(s.members, i, i+1)
					} else {
						s.setReady(i, rapid.Bool().Draw(t, "ready"))
					}
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
	before := s.unavailable()
	p := s.step(t)
	changed := 0
	for _, a := range p.Pods {
		if _, is := a.Object.(*corev1.Pod); is {
			changed++
		}
	}
	most := 1
	switch r := s.set.Spec.UpdateStrategy.RollingUpdate; {
	case r.MaxUnavailable != nil:
		most = r.MaxUnavailable.IntValue()
	case s.set.Spec.PodManagementPolicy == appsv1.ParallelPodManagement:
		most = before + 1 // an update does not wait for pods of lower ordinals
	case changed > 1:
		t.Fatalf("%d pods are changed in one step: %v", changed, p.Pods)
	}
	if after := s.unavailable(); after > max(before, most) {
		t.Fatalf("%d pods are unavailable, were %d, want at most %d", after, before, most)
	}
}

func (s *sim) checkEnd(t *rapid.T) {
	if n := len(s.members); n != replicas(s.set) || s.unavailable() != 0 {
		t.Fatalf("%d pods in the end, want %d; %d are unavailable", n, replicas(s.set), s.unavailable())
	}
	update := s.set.Status.UpdateRevision
	for _, m := range s.members {
		if m.ordinal-start(s.set) >= partition(s.set) && revisionOf(m.pod) != update {
			t.Fatalf("pod %s has the revision %s in the end, want %s", m.pod.Name, revisionOf(m.pod), update)
		}
	}
	if p := s.step(t); len(p.All()) > 0 {
		t.Fatalf("a repeat of the plan is not empty: %s", render(p))
	}
}
