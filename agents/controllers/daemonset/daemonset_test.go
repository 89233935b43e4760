package daemonset_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controllertest"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/apps"
	"gantry/schema/core"
)

// The nodes of these tests are never ready, and their pods do not mind.
const agent = `apiVersion: apps/v1
kind: DaemonSet
metadata: {namespace: default, name: agent, annotations: {kubernetes.io/change-cause: first}}
spec:
  revisionHistoryLimit: 1
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      containers: [{name: c, image: "agent:1"}]
      tolerations: [{key: node.kubernetes.io/not-ready, operator: Exists}, {key: node.kubernetes.io/unreachable, operator: Exists}]
`

const moreNodes = `apiVersion: v1
kind: Node
metadata: {name: n2}
---
apiVersion: v1
kind: Node
metadata: {name: n3}
`

// watched is what a set is made of.
var watched = []*schema.Kind{apps.DaemonSet, apps.ControllerRevision, core.Pod, core.Node}

func change[T schema.Object](c *controllertest.Cluster, ns, name string, change func(T)) {
	c.T.Helper()
	_, err := registry.For[T](c.Registry).Modify(c.Context, ns, name, func(obj T) error {
		change(obj)
		return nil
	})
	if err != nil {
		c.T.Fatal(err)
	}
}

func image(to string) func(*appsv1.DaemonSet) {
	return func(ds *appsv1.DaemonSet) { ds.Spec.Template.Spec.Containers[0].Image = to }
}

// want waits until the nodes have one pod each, all of the image and available, and the status says so.
func want(c *controllertest.Cluster, image string, nodes ...string) *appsv1.DaemonSet {
	c.T.Helper()
	var ds *appsv1.DaemonSet
	c.Until(func() string {
		var on []string
		for _, p := range controllertest.List[*corev1.Pod](c, "default", "app=agent") {
			if p.Spec.Containers[0].Image != image {
				return fmt.Sprintf("pod %s of %s to be replaced by one of %s", p.Name, p.Spec.Containers[0].Image, image)
			}
			on = append(on, p.Spec.NodeName)
		}
		slices.Sort(on)
		ds, _ = controllertest.Get[*appsv1.DaemonSet](c, "default", "agent")
		s, n := ds.Status, int32(len(nodes))
		if !slices.Equal(on, nodes) || s.ObservedGeneration != ds.Generation || s.DesiredNumberScheduled != n || s.CurrentNumberScheduled != n || s.NumberReady != n ||
			s.NumberAvailable != n || s.UpdatedNumberScheduled != n || s.NumberUnavailable+s.NumberMisscheduled != 0 {
			return fmt.Sprintf("pods on %v in the status, have them on %v and %+v", nodes, on, s)
		}
		return ""
	}, watched...)
	return ds
}

// TestDaemonSet follows nodes that come, are tainted and go, updates a set and takes that back, and ends it; the controllers are ended and
// started anew after each change.
func TestDaemonSet(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	c.Apply(agent)
	want(c, "agent:1", "n1")
	c.Apply(moreNodes)
	c.Restart()
	ds := want(c, "agent:1", "n1", "n2", "n3")
	first := controllertest.List[*appsv1.ControllerRevision](c, "default", "app=agent")
	if len(first) != 1 || first[0].Revision != 1 || !metav1.IsControlledBy(first[0], ds) || first[0].Annotations["kubernetes.io/change-cause"] != "first" {
		t.Fatalf("revisions %v", first)
	}
	for _, p := range controllertest.List[*corev1.Pod](c, "default", "app=agent") {
		if p.Labels[appsv1.ControllerRevisionHashLabelKey] != first[0].Labels[appsv1.ControllerRevisionHashLabelKey] || p.Labels["pod-template-generation"] != "1" {
			t.Errorf("labels %v", p.Labels)
		}
	}

	change(c, "", "n3", func(n *corev1.Node) {
		n.Spec.Taints = []corev1.Taint{{Key: "example.com/away", Effect: corev1.TaintEffectNoExecute}}
	})
	c.Restart()
	want(c, "agent:1", "n1", "n2")
	change(c, "", "n3", func(n *corev1.Node) { n.Spec.Taints = nil })
	want(c, "agent:1", "n1", "n2", "n3")

	change(c, "default", "agent", image("agent:2"))
	c.Restart()
	want(c, "agent:2", "n1", "n2", "n3")
	change(c, "default", "agent", image("agent:1")) // kubectl rollout undo
	c.Restart()
	want(c, "agent:1", "n1", "n2", "n3")
	if r, _ := controllertest.Get[*appsv1.ControllerRevision](c, "default", first[0].Name); r == nil || r.Revision != 3 {
		t.Errorf("after the undo the first revision is %v, want the third", r)
	}
	change(c, "default", "agent", image("agent:3"))
	want(c, "agent:3", "n1", "n2", "n3")
	c.Until(func() string {
		if n := len(controllertest.List[*appsv1.ControllerRevision](c, "default", "app=agent")); n != 2 {
			return fmt.Sprintf("the current revision and one of history, have %d", n)
		}
		return ""
	}, apps.ControllerRevision)

	if err := registry.For[*appsv1.DaemonSet](c.Registry).Delete(c.Context, "default", "agent", registry.DeleteOptions{Propagation: "Foreground"}); err != nil {
		t.Fatal(err)
	}
	c.Until(func() string {
		_, there := controllertest.Get[*appsv1.DaemonSet](c, "default", "agent")
		pods, revisions := controllertest.List[*corev1.Pod](c, "default", "app=agent"), controllertest.List[*appsv1.ControllerRevision](c, "default", "app=agent")
		if there || len(pods)+len(revisions) > 0 {
			return fmt.Sprintf("the set, %d pods and %d revisions to go", len(pods), len(revisions))
		}
		return ""
	}, watched...)
}

// A pod that failed is deleted, another one follows, and an Event says so.
func TestDaemonSetReplacesFailedPods(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	c.Apply(agent)
	want(c, "agent:1", "n1")
	failed := controllertest.List[*corev1.Pod](c, "default", "app=agent")[0]
	if _, err := registry.For[*corev1.Pod](c.Registry).ModifyStatus(c.Context, "default", failed.Name, func(p *corev1.Pod) error { p.Status.Phase = corev1.PodFailed; return nil }); err != nil {
		t.Fatal(err)
	}
	c.Until(func() string {
		if _, ok := controllertest.Get[*corev1.Pod](c, "default", failed.Name); ok {
			return "the failed pod to go"
		}
		said := c.Events("agent")
		for _, reason := range []string{"FailedDaemonPod", "SuccessfulCreate", "SuccessfulDelete"} {
			if !slices.Contains(said, "daemonset-controller "+reason) {
				return fmt.Sprintf("the event %s, have %v", reason, said)
			}
		}
		return ""
	}, core.Pod, core.Event)
	want(c, "agent:1", "n1")
}

// With maxSurge a node is never without an available pod while it is updated.
func TestDaemonSetSurges(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	c.Apply(moreNodes)
	c.Apply(strings.Replace(agent, "spec:\n", "spec:\n  updateStrategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}\n", 1))
	want(c, "agent:1", "n1", "n2", "n3")
	change(c, "default", "agent", image("agent:2"))
	ready := map[string]map[string]bool{}
	end := c.FollowPods(func(p *corev1.Pod, there bool) {
		if ready[p.Spec.NodeName] == nil {
			ready[p.Spec.NodeName] = map[string]bool{}
		}
		on := ready[p.Spec.NodeName]
		had := len(on) > 0
		delete(on, p.Name)
		if there && p.DeletionTimestamp == nil && p.Status.Phase == corev1.PodRunning {
			on[p.Name] = true
		}
		if had && len(on) == 0 {
			t.Errorf("node %s is without a pod when %s goes", p.Spec.NodeName, p.Name)
		}
	})
	want(c, "agent:2", "n1", "n2", "n3")
	end()
}

// A set that is made again adopts what was left behind.
func TestDaemonSetAdopts(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	c.Apply(agent)
	want(c, "agent:1", "n1")
	before := controllertest.List[*corev1.Pod](c, "default", "app=agent")[0]
	if err := registry.For[*appsv1.DaemonSet](c.Registry).Delete(c.Context, "default", "agent", registry.DeleteOptions{Propagation: "Orphan"}); err != nil {
		t.Fatal(err)
	}
	c.Until(func() string {
		if _, ok := controllertest.Get[*appsv1.DaemonSet](c, "default", "agent"); ok {
			return "the set to go"
		}
		return ""
	}, apps.DaemonSet)
	c.Apply(agent)
	ds := want(c, "agent:1", "n1")
	after := controllertest.List[*corev1.Pod](c, "default", "app=agent")[0]
	if after.UID != before.UID || !metav1.IsControlledBy(after, ds) {
		t.Errorf("the pod was not adopted: %v", after.OwnerReferences)
	}
	if r := controllertest.List[*appsv1.ControllerRevision](c, "default", "app=agent"); len(r) != 1 || !metav1.IsControlledBy(r[0], ds) {
		t.Errorf("revisions %v, want the one that was left, adopted", r)
	}
}

// A client may make another revision of the current template and delete the first one: as with kube-controller-manager the set looks at its
// history when a revision goes, not when one comes.
func TestRevisionsOfClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := controllertest.Start(t, nil)
		c.Ready()
		c.Apply(agent)
		ds := want(c, "agent:1", "n1")
		time.Sleep(5 * time.Second) // nothing else is to be reconciled
		first := controllertest.List[*appsv1.ControllerRevision](c, "default", "app=agent")[0]
		change(c, "default", first.Name, func(r *appsv1.ControllerRevision) { r.Labels["mine"] = "patched" })
		second := first.DeepCopy()
		second.ObjectMeta = metav1.ObjectMeta{Namespace: "default", Name: "agent-other", Labels: map[string]string{"app": "agent", appsv1.ControllerRevisionHashLabelKey: "other"}, OwnerReferences: first.OwnerReferences}
		second.Revision = 2
		revisions := registry.For[*appsv1.ControllerRevision](c.Registry)
		if _, err := revisions.Create(c.Context, second); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if err := revisions.Delete(c.Context, "default", first.Name, registry.DeleteOptions{}); err != nil {
			t.Fatalf("the first revision: %v", err)
		}
		time.Sleep(5 * time.Second)
		change(c, "default", "agent", func(ds *appsv1.DaemonSet) { ds.Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "A"}} })
		time.Sleep(5 * time.Second)
		if got := controllertest.List[*appsv1.ControllerRevision](c, "default", "app=agent"); len(got) != 2 || got[0].Revision+got[1].Revision != 5 {
			t.Errorf("revisions %v, want the second and the third", got)
		}
		if p := controllertest.List[*corev1.Pod](c, "default", "app=agent"); len(p) != 1 || len(p[0].Spec.Containers[0].Env) != 1 || !metav1.IsControlledBy(p[0], ds) {
			t.Errorf("pods %v, want one of the new template", p)
		}
	})
}
