package workload

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"pgregory.net/rapid"

	"gantry/agents/controllers/controller"
	"gantry/agents/controllers/plantest"
)

// The input replica sets are written short: only what the plan depends on. "template: current" stands for the deployment's.
func TestDeploymentPlans(t *testing.T) {
	plantest.Golden(t, "deployment", func(t *testing.T, files map[string]string) string {
		d := plantest.Parse[appsv1.Deployment](t, files["deployment"])[0]
		running := map[types.UID]int{}
		var sets []*appsv1.ReplicaSet
		for _, s := range plantest.Parse[shortSet](t, files["sets"]) {
			rs := s.expand(d)
			running[rs.UID] = s.Running
			sets = append(sets, rs)
		}
		plan, after := planDeployment(d, sets, running, plantest.Now)
		var b strings.Builder
		for _, a := range plan {
			b.WriteString(plantest.Lines([]controller.Action{a}))
			b.WriteString(describe(a))
		}
		if after > 0 {
			fmt.Fprintf(&b, "again after %s\n", after)
		}
		return b.String()
	})
}

// shortSet is a replica set of a golden case.
type shortSet struct {
	Name                                       string
	Current                                    bool // has the deployment's template
	Age                                        int  // minutes
	Revision                                   string
	Desired, Max                               string
	Replicas, Pods, Ready, Available, Updating int32
	Running                                    int
	Annotations                                map[string]string
	Failure                                    string
}

func (s shortSet) expand(d *appsv1.Deployment) *appsv1.ReplicaSet {
	template := d.Spec.Template.DeepCopy()
	if !s.Current {
		template.Spec.Containers[0].Image = "old-" + s.Name
	}
	rs := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: d.Namespace, Name: s.Name, UID: types.UID("uid-" + s.Name),
			CreationTimestamp: metav1.NewTime(plantest.Now.Add(-time.Duration(s.Age) * time.Minute)),
			Annotations:       labels.Merge(s.Annotations, labels.Set{revisionAnnotation: s.Revision})},
		Spec:   appsv1.ReplicaSetSpec{Replicas: &s.Replicas, Template: *template},
		Status: appsv1.ReplicaSetStatus{Replicas: s.Pods, ReadyReplicas: s.Ready, AvailableReplicas: s.Available},
	}
	if s.Desired != "" {
		rs.Annotations[desiredAnnotation] = s.Desired
		rs.Annotations[maxAnnotation] = s.Max
	}
	if s.Failure != "" {
		rs.Status.Conditions = []appsv1.ReplicaSetCondition{{Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: s.Failure}}
	}
	return rs
}

// describe renders what an action writes, as far as the cases are about it.
func describe(a controller.Action) string {
	var b strings.Builder
	switch obj := a.Object.(type) {
	case *appsv1.ReplicaSet:
		if a.Do == controller.Delete {
			return ""
		}
		fmt.Fprintf(&b, "  replicas %d", *obj.Spec.Replicas)
		for _, key := range []string{revisionAnnotation, historyAnnotation, desiredAnnotation, maxAnnotation, "kubernetes.io/change-cause"} {
			if v := obj.Annotations[key]; v != "" {
				fmt.Fprintf(&b, ", %s %s", key[strings.LastIndexByte(key, '/')+1:], v)
			}
		}
		b.WriteByte('\n')
	case *appsv1.Deployment:
		if a.Do != controller.UpdateStatus {
			return fmt.Sprintf("  image %s, annotations %v\n", obj.Spec.Template.Spec.Containers[0].Image, obj.Annotations)
		}
		s := obj.Status
		fmt.Fprintf(&b, "  observed %d, replicas %d, updated %d, ready %d, available %d, unavailable %d\n", s.ObservedGeneration, s.Replicas, s.UpdatedReplicas, s.ReadyReplicas, s.AvailableReplicas, s.UnavailableReplicas)
		for _, c := range s.Conditions {
			fmt.Fprintf(&b, "  %s=%s %s: %s\n", c.Type, c.Status, c.Reason, c.Message)
		}
	}
	return b.String()
}

func TestTemplateHashIsStable(t *testing.T) {
	template := &corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "web:1"}}}}
	first := templateHash(template, nil)
	labelled := template.DeepCopy()
	labelled.Labels[appsv1.DefaultDeploymentUniqueLabelKey] = "x"
	if got := templateHash(labelled, nil); got != first {
		t.Errorf("the label pod-template-hash changes the hash: %s, want %s", got, first)
	}
	one := int32(1)
	if templateHash(template, &one) == first {
		t.Error("a collision does not change the hash")
	}
	changed := template.DeepCopy()
	changed.Spec.Containers[0].Image = "web:2"
	if templateHash(changed, nil) == first {
		t.Error("another image does not change the hash")
	}
	if len(first) != 10 {
		t.Errorf("hash %q has %d characters, want 10", first, len(first))
	}
}

// sim is a cluster with one deployment: replica sets whose pods follow at once, and become available when told.
type sim struct {
	d    *appsv1.Deployment
	sets []*appsv1.ReplicaSet
	n    int
}

func newSim(t *rapid.T) *sim {
	amount := func(label string) *intstr.IntOrString {
		v := intstr.FromInt32(rapid.Int32Range(0, 5).Draw(t, label))
		if rapid.Bool().Draw(t, label+"Percent") {
			v = intstr.FromString(fmt.Sprintf("%d%%", rapid.IntRange(0, 100).Draw(t, label)))
		}
		return &v
	}
	n := rapid.Int32Range(0, 20).Draw(t, "replicas")
	s := &sim{d: &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", UID: "uid-web", Generation: 1},
		Spec: appsv1.DeploymentSpec{Replicas: &n, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "web:0"}}}},
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: amount("surge"), MaxUnavailable: amount("unavailable")}}},
	}}
	return s
}

// step plans and does what is planned; it returns how many actions that were.
func (s *sim) step() int {
	plan, _ := planDeployment(s.d, s.sets, nil, plantest.Now)
	for _, a := range plan {
		switch obj := a.Object.(type) {
		case *appsv1.ReplicaSet:
			i := slices.IndexFunc(s.sets, func(rs *appsv1.ReplicaSet) bool { return rs.Name == obj.Name })
			switch a.Do {
			case controller.Create:
				s.n++
				obj.UID, obj.CreationTimestamp = types.UID(obj.Name), metav1.NewTime(plantest.Now.Add(time.Duration(s.n)*time.Second))
				s.sets = append(s.sets, obj)
			case controller.Update:
				obj.Status = s.sets[i].Status
				s.sets[i] = obj
			case controller.Delete:
				s.sets = slices.Delete(s.sets, i, i+1)
			}
		case *appsv1.Deployment:
			s.d.Status, s.d.Annotations = obj.Status, obj.Annotations
		}
	}
	return len(plan)
}

// followSize lets the pods of a replica set follow its size; n of them are available.
func followSize(rs *appsv1.ReplicaSet, n int32) {
	rs.Status.Replicas = size(rs)
	rs.Status.AvailableReplicas = min(n, size(rs))
	rs.Status.ReadyReplicas = rs.Status.AvailableReplicas
}

// finish lets every pod become available until there is nothing left to do.
func (s *sim) finish() {
	for steps := 1; steps > 0; steps = s.step() {
		for _, rs := range s.sets {
			followSize(rs, size(rs))
		}
	}
}

func (s *sim) limits() (n, surge, unavailable int32) {
	o := newRollout(s.d, s.sets, nil, plantest.Now)
	surge, unavailable = o.limits()
	return o.replicas(), surge, unavailable
}

// A rolling update never has more pods than the surge allows, and never takes away a pod that availability needs, whatever
// the order in which pods become available, break, and the template changes.
func TestRollingUpdateKeepsItsLimits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSim(t)
		s.finish() // the first rollout
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
				s.d.Spec.Template.Spec.Containers[0].Image = fmt.Sprintf("web:%d", rapid.IntRange(0, 3).Draw(t, "image"))
				s.d.Generation++
			case 1, 2:
				if len(s.sets) > 0 {
					rs := s.sets[rapid.IntRange(0, len(s.sets)-1).Draw(t, "set")]
					followSize(rs, rapid.Int32Range(0, 25).Draw(t, "available"))
				}
			default:
				s.checkStep(t)
			}
		}
		// Once every pod becomes available the rollout ends.
		s.finish()
		n, _, _ := s.limits()
		if got := newRollout(s.d, s.sets, nil, plantest.Now); size(got.current) != n || sum(got.olds, size) != 0 {
			t.Fatalf("the rollout did not end: current has %d of %d, old ones %d", size(got.current), n, sum(got.olds, size))
		}
	})
}

func (s *sim) checkStep(t *rapid.T) {
	n, surge, unavailable := s.limits()
	totalBefore, before := sum(s.sets, size), sum(s.sets, available)
	s.step()
	total, after := sum(s.sets, size), sum(s.sets, available)
	if total > max(n+surge, totalBefore) {
		t.Fatalf("%d pods, want at most %d+%d (were %d)", total, n, surge, totalBefore)
	}
	if after < min(before, n-unavailable) {
		t.Fatalf("%d available pods are left of %d, want at least %d-%d", after, before, n, unavailable)
	}
}

// Scaling in the middle of a rolling update deals out exactly what there is to deal.
func TestProportionalScalingIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSim(t)
		for range 3 {
			s.step()
			for _, rs := range s.sets {
				followSize(rs, size(rs))
			}
			s.d.Spec.Template.Spec.Containers[0].Image = fmt.Sprintf("web:%d", rapid.IntRange(0, 3).Draw(t, "image"))
		}
		s.step()
		several := len(active(s.sets)) > 1
		n := rapid.Int32Range(1, 60).Draw(t, "to")
		s.d.Spec.Replicas = &n
		o := newRollout(s.d, s.sets, nil, plantest.Now)
		saturated := o.saturated()
		if !several || saturated || !o.resized() {
			return
		}
		s.step()
		_, surge, _ := s.limits()
		if got := sum(s.sets, size); got != n+surge {
			t.Fatalf("%d pods after scaling, want %d+%d", got, n, surge)
		}
	})
}
