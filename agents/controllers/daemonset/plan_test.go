package daemonset

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
		ds := plantest.Parse[appsv1.DaemonSet](t, files["set"])[0]
		ds.Namespace, ds.UID = "default", "uid-ds"
		apps.DaemonSet.Default(ds)
		o := observed{ds: ds, nodes: plantest.Parse[corev1.Node](t, files["nodes"]), now: plantest.Now}
		wait := map[string]time.Duration{}
		for _, r := range plantest.Parse[shortRevision](t, files["revisions"]) {
			o.revisions = append(o.revisions, r.expand(ds))
		}
		for i, p := range plantest.Parse[shortPod](t, files["pods"]) {
			o.podList = append(o.podList, p.expand(ds, i))
			wait[p.Node] = time.Duration(p.Held) * time.Second
		}
		o.failedWait = func(node string) time.Duration { return wait[node] }
		return render(planSet(o))
	})
}

// shortRevision is a revision of a case: the set's template with another image. Its hash is the image's tag.
type shortRevision struct {
	Image    string
	Name     string
	Revision int64
	NoHash   bool
}

func tag(image string) string { return strings.TrimPrefix(image, "web:") }

func (r shortRevision) expand(ds *appsv1.DaemonSet) *appsv1.ControllerRevision {
	ds = ds.DeepCopy()
	ds.Spec.Template.Spec.Containers[0].Image = r.Image
	revision, _, _ := history.Current(owner(ds), nil)
	revision.Name, revision.Revision = "web-"+tag(r.Image), r.Revision
	revision.Labels[appsv1.ControllerRevisionHashLabelKey] = tag(r.Image)
	if r.Name != "" {
		revision.Name = r.Name
		revision.Labels[appsv1.ControllerRevisionHashLabelKey] = r.Name
	}
	if r.NoHash {
		delete(revision.Labels, appsv1.ControllerRevisionHashLabelKey)
	}
	return revision
}

// shortPod is a pod of a case. It is available for an hour unless the case says otherwise.
type shortPod struct {
	Node, Hash string
	Name       string
	Age        int // minutes; 60
	Phase      corev1.PodPhase
	Ready      *int // seconds ago; below 0: not ready
	Deleting   bool
	Waiting    bool // for the scheduler
	Generation string
	Held       int // seconds that failed pods of its node stay
}

func (s shortPod) expand(ds *appsv1.DaemonSet, i int) *corev1.Pod {
	p := (&planner{observed: observed{ds: ds}, hash: s.Hash}).newPod(fmt.Sprint("pod-", i), s.Node)
	delete(p.Labels, generationLabel)
	if s.Generation != "" {
		p.Labels[generationLabel] = s.Generation
	}
	if s.Name != "" {
		p.Name = s.Name
	}
	if s.Age == 0 {
		s.Age = 60
	}
	p.UID, p.CreationTimestamp = types.UID("uid-"+p.Name), metav1.NewTime(plantest.Now.Add(-time.Duration(s.Age)*time.Minute))
	p.Spec.NodeName, p.Status.Phase = s.Node, corev1.PodRunning
	if s.Waiting {
		p.Spec.NodeName, p.Status.Phase = "", corev1.PodPending
	}
	if s.Phase != "" {
		p.Status.Phase = s.Phase
	}
	if s.Ready == nil && p.Status.Phase == corev1.PodRunning {
		plantest.SetReady(p, corev1.ConditionTrue, plantest.Now.Add(-time.Hour))
	} else if s.Ready != nil && *s.Ready >= 0 {
		plantest.SetReady(p, corev1.ConditionTrue, plantest.Now.Add(-time.Duration(*s.Ready)*time.Second))
	}
	if s.Deleting {
		plantest.Deleting(p)
	}
	return p
}

func render(p plan) string {
	var b strings.Builder
	for _, a := range p.All() {
		b.WriteString(plantest.Lines([]controller.Action{a}))
		switch obj := a.Object.(type) {
		case *corev1.Pod:
			if a.Do != controller.Delete {
				fmt.Fprintf(&b, "  %s for %s, labels %v\n", obj.Spec.Containers[0].Image, nodeOf(obj), obj.Labels)
			}
		case *appsv1.ControllerRevision:
			if a.Do != controller.Delete {
				fmt.Fprintf(&b, "  revision %d, labels %v\n", obj.Revision, obj.Labels)
			}
		case *appsv1.DaemonSet:
			s := obj.Status
			fmt.Fprintf(&b, "  observed %d, desired %d, current %d, misscheduled %d, ready %d, available %d, unavailable %d, updated %d\n", s.ObservedGeneration, s.DesiredNumberScheduled, s.CurrentNumberScheduled,
				s.NumberMisscheduled, s.NumberReady, s.NumberAvailable, s.NumberUnavailable, s.UpdatedNumberScheduled)
		}
	}
	for _, ev := range p.Events {
		fmt.Fprintf(&b, "event %s: %s\n", ev.Reason, ev.Message)
	}
	for _, node := range p.failedOn {
		fmt.Fprintf(&b, "failed on %s\n", node)
	}
	if p.after > 0 {
		fmt.Fprintf(&b, "again after %s\n", p.after)
	}
	return b.String()
}

func TestTolerations(t *testing.T) {
	seconds := int64(5)
	own := []corev1.Toleration{
		{Key: "node.kubernetes.io/not-ready", Operator: "Exists", Effect: "NoExecute", TolerationSeconds: &seconds},
		{Key: "mine", Operator: "Equal", Value: "x"},
		{Key: "node.kubernetes.io/disk-pressure", Operator: "Exists", Effect: "NoSchedule"},
	}
	spec := corev1.PodSpec{HostNetwork: true, Tolerations: own}
	addTolerations(&spec)
	want := []corev1.Toleration{
		{Key: "node.kubernetes.io/not-ready", Operator: "Exists", Effect: "NoExecute"},
		{Key: "mine", Operator: "Equal", Value: "x"},
		{Key: "node.kubernetes.io/disk-pressure", Operator: "Exists", Effect: "NoSchedule"},
		{Key: "node.kubernetes.io/unreachable", Operator: "Exists", Effect: "NoExecute"},
		{Key: "node.kubernetes.io/memory-pressure", Operator: "Exists", Effect: "NoSchedule"},
		{Key: "node.kubernetes.io/pid-pressure", Operator: "Exists", Effect: "NoSchedule"},
		{Key: "node.kubernetes.io/unschedulable", Operator: "Exists", Effect: "NoSchedule"},
		{Key: "node.kubernetes.io/network-unavailable", Operator: "Exists", Effect: "NoSchedule"},
	}
	if diff := cmp.Diff(want, spec.Tolerations); diff != "" {
		t.Errorf("tolerations (-want +got):\n%s", diff)
	}
	if own[0].TolerationSeconds == nil {
		t.Error("the template was changed")
	}
	spec = corev1.PodSpec{}
	addTolerations(&spec)
	if n := len(spec.Tolerations); n != 6 {
		t.Errorf("%d tolerations without the host's network, want 6", n)
	}
}
