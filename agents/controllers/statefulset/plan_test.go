package statefulset

import (
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/agents/controllers/controller"
	"gantry/agents/controllers/history"
	"gantry/agents/controllers/plantest"
	"gantry/schema/apps"
)

// The pods and revisions of a case are written short; see shortPod and shortRevision.
func TestPlans(t *testing.T) {
	plantest.Golden(t, "plan", func(t *testing.T, files map[string]string) string {
		set := plantest.Parse[appsv1.StatefulSet](t, files["set"])[0]
		set.Namespace, set.UID = "default", "uid-set"
		apps.StatefulSet.Default(set)
		o := observed{set: set, claims: map[string]*corev1.PersistentVolumeClaim{}, now: plantest.Now}
		for _, r := range plantest.Parse[shortRevision](t, files["revisions"]) {
			o.revisions = append(o.revisions, r.expand(set))
		}
		wait := map[int]time.Duration{}
		for _, p := range plantest.Parse[shortPod](t, files["pods"]) {
			o.members = append(o.members, p.expand(o))
			wait[p.Ordinal] = time.Duration(p.Held) * time.Second
		}
		o.failedWait = func(ordinal int) time.Duration { return wait[ordinal] }
		for _, c := range plantest.Parse[corev1.PersistentVolumeClaim](t, files["claims"]) {
			o.claims[c.Name] = c
		}
		p, err := planSet(o)
		if err != nil {
			return err.Error() + "\n"
		}
		return render(p)
	})
}

// shortRevision is a revision of a case: the set's template with another image.
type shortRevision struct {
	Image    string
	Revision int64
}

func (r shortRevision) expand(set *appsv1.StatefulSet) *appsv1.ControllerRevision {
	set = set.DeepCopy()
	set.Spec.Template.Spec.Containers[0].Image = r.Image
	revision, _, _ := history.Current(owner(set), nil)
	revision.Name, revision.Revision = "web-"+strings.ReplaceAll(r.Image, ":", "-"), r.Revision
	return revision
}

// shortPod is a pod of a case. It is available for an hour unless the case says otherwise.
type shortPod struct {
	Ordinal  int
	Image    string
	Phase    corev1.PodPhase
	Ready    *int // seconds ago; below 0: not ready
	Deleting bool
	Unnamed  bool // without the labels of its ordinal
	Held     int  // seconds that failed pods of its ordinal stay
}

func (s shortPod) expand(o observed) member {
	t := o.set.Spec.Template.DeepCopy()
	t.Spec.Containers[0].Image = s.Image
	p := newPod(o.set, t, "web-"+strings.ReplaceAll(s.Image, ":", "-"), s.Ordinal)
	p.UID, p.Status.Phase = types.UID("uid-"+p.Name), corev1.PodRunning
	plantest.SetReady(p, corev1.ConditionTrue, plantest.Now.Add(-time.Hour))
	if s.Ready != nil {
		p.Status.Conditions = nil
		if *s.Ready >= 0 {
			plantest.SetReady(p, corev1.ConditionTrue, plantest.Now.Add(-time.Duration(*s.Ready)*time.Second))
		}
	}
	if s.Phase != "" {
		p.Status.Phase = s.Phase
		p.Status.Conditions = nil
	}
	if s.Deleting {
		plantest.Deleting(p)
	}
	if s.Unnamed {
		delete(p.Labels, appsv1.StatefulSetPodNameLabel)
		p.Spec.Volumes = nil
	}
	return member{s.Ordinal, p}
}

func render(p plan) string {
	var b strings.Builder
	for _, a := range p.All() {
		b.WriteString(plantest.Lines([]controller.Action{a}))
		if a.Bulk {
			b.WriteString("  in bulk\n")
		}
		switch obj := a.Object.(type) {
		case *corev1.Pod:
			if a.Do == controller.Delete {
				continue
			}
			fmt.Fprintf(&b, "  %s, host %s.%s, labels %v\n", obj.Spec.Containers[0].Image, obj.Spec.Hostname, obj.Spec.Subdomain, obj.Labels)
			for _, v := range obj.Spec.Volumes {
				if v.PersistentVolumeClaim != nil {
					fmt.Fprintf(&b, "  volume %s: %s\n", v.Name, v.PersistentVolumeClaim.ClaimName)
				}
			}
		case *corev1.PersistentVolumeClaim:
			fmt.Fprintf(&b, "  labels %v", obj.Labels)
			for _, r := range obj.OwnerReferences {
				fmt.Fprintf(&b, ", owner %s %s %s", r.Kind, r.Name, r.UID)
			}
			b.WriteByte('\n')
		case *appsv1.ControllerRevision:
			if a.Do != controller.Delete {
				fmt.Fprintf(&b, "  revision %d: %s\n", obj.Revision, obj.Data.Raw)
			}
		case *appsv1.StatefulSet:
			s := obj.Status
			fmt.Fprintf(&b, "  observed %d, replicas %d, ready %d, available %d, current %d of %s, updated %d of %s\n", s.ObservedGeneration, s.Replicas, s.ReadyReplicas, s.AvailableReplicas,
				s.CurrentReplicas, s.CurrentRevision, s.UpdatedReplicas, s.UpdateRevision)
		}
	}
	for _, ev := range p.Events {
		fmt.Fprintf(&b, "event %s: %s\n", ev.Reason, ev.Message)
	}
	for _, ordinal := range p.failedOrdinals {
		fmt.Fprintf(&b, "failed %d\n", ordinal)
	}
	if p.after > 0 {
		fmt.Fprintf(&b, "again after %s\n", p.after)
	}
	return b.String()
}

func TestOrdinals(t *testing.T) {
	set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "web-1"}}
	for name, want := range map[string]int{"web-1-0": 0, "web-1-17": 17, "web-1-017": -1, "web-1-": -1, "web-1": -1, "web-10": -1, "web-1-x": -1, "web-1--1": -1, "web-1-4294967296": -1, "db-1-0": -1} {
		got, ok := ordinalOf(set, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}})
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("%s has the ordinal %d, want %d", name, got, want)
		}
	}
}
