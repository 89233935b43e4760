package statefulset_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"gantry/agents/controllers/controllertest"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/apps"
	"gantry/schema/core"
)

const web = `apiVersion: apps/v1
kind: StatefulSet
metadata: {namespace: default, name: web, annotations: {kubernetes.io/change-cause: first}}
spec:
  serviceName: nginx
  replicas: 3
  revisionHistoryLimit: 1
  persistentVolumeClaimRetentionPolicy: {whenScaled: Delete}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "web:1"}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
`

// watched is what a set is made of.
var watched = []*schema.Kind{apps.StatefulSet, apps.ControllerRevision, core.Pod, core.PersistentVolumeClaim}

func change(c *controllertest.Cluster, change func(*appsv1.StatefulSet)) {
	c.T.Helper()
	_, err := registry.For[*appsv1.StatefulSet](c.Registry).Modify(c.Context, "default", "web", func(s *appsv1.StatefulSet) error {
		change(s)
		return nil
	})
	if err != nil {
		c.T.Fatal(err)
	}
}

func image(to string) func(*appsv1.StatefulSet) {
	return func(s *appsv1.StatefulSet) {
		s.Spec.Template.Spec.Containers[0].Image = to
		s.Annotations["kubernetes.io/change-cause"] = to
	}
}

// want waits until the pods have these images, in the order of their names, and the status says so.
func want(c *controllertest.Cluster, images ...string) *appsv1.StatefulSet {
	c.T.Helper()
	var set *appsv1.StatefulSet
	c.Until(func() string {
		set, _ = controllertest.Get[*appsv1.StatefulSet](c, "default", "web")
		var got []string
		updated := int32(0)
		for i, p := range controllertest.List[*corev1.Pod](c, "default", "app=web") {
			if p.Name != fmt.Sprint("web-", i) || p.Spec.Hostname != p.Name || p.Spec.Subdomain != "nginx" || p.Labels[appsv1.PodIndexLabel] != fmt.Sprint(i) {
				return "pods with names, hosts and labels of their ordinals"
			}
			got = append(got, p.Spec.Containers[0].Image)
			if p.Labels[appsv1.ControllerRevisionHashLabelKey] == set.Status.UpdateRevision {
				updated++
			}
		}
		n := int32(len(images))
		if s := set.Status; !slices.Equal(got, images) || s.ObservedGeneration != set.Generation || s.Replicas != n || s.ReadyReplicas != n || s.AvailableReplicas != n || s.UpdatedReplicas != updated {
			return fmt.Sprintf("pods of %v in the status, have %v and %+v", images, got, s)
		}
		return ""
	}, watched...)
	return set
}

func names[T schema.Object](c *controllertest.Cluster, labels string) (out []string) {
	for _, obj := range controllertest.List[T](c, "default", labels) {
		out = append(out, obj.GetName())
	}
	return out
}

// TestStatefulSet rolls a set out, scales it, updates it in two phases and back, and ends it; the controllers are ended and started anew
// after each change.
func TestStatefulSet(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	c.Apply(web)
	set := want(c, "web:1", "web:1", "web:1")
	pods := controllertest.List[*corev1.Pod](c, "default", "app=web")
	if !slices.IsSortedFunc(pods, func(a, b *corev1.Pod) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) }) {
		t.Error("the pods were not made in the order of their ordinals")
	}
	if s := set.Status; s.CurrentRevision != s.UpdateRevision || s.CurrentReplicas != 3 || s.UpdatedReplicas != 3 || *s.CollisionCount != 0 {
		t.Errorf("status %+v", s)
	}
	if got := names[*corev1.PersistentVolumeClaim](c, "app=web"); !slices.Equal(got, []string{"data-web-0", "data-web-1", "data-web-2"}) {
		t.Errorf("claims %v", got)
	}
	first := set.Status.UpdateRevision
	revision, _ := controllertest.Get[*appsv1.ControllerRevision](c, "default", first)
	if revision.Annotations["kubernetes.io/change-cause"] != "first" || revision.Labels["app"] != "web" || !metav1.IsControlledBy(revision, set) {
		t.Errorf("revision %v", revision.ObjectMeta)
	}

	change(c, func(s *appsv1.StatefulSet) { s.Spec.Replicas = ptr.To(int32(4)) })
	c.Restart()
	want(c, "web:1", "web:1", "web:1", "web:1")
	change(c, func(s *appsv1.StatefulSet) { s.Spec.Replicas = ptr.To(int32(3)) })
	c.Restart()
	want(c, "web:1", "web:1", "web:1")
	c.Until(func() string { // whenScaled: Delete
		if _, ok := controllertest.Get[*corev1.PersistentVolumeClaim](c, "default", "data-web-3"); ok {
			return "the claim to go with its pod"
		}
		return ""
	}, core.PersistentVolumeClaim)

	// The new template reaches web-2 alone, then all.
	change(c, func(s *appsv1.StatefulSet) {
		image("web:2")(s)
		s.Spec.UpdateStrategy.RollingUpdate.Partition = ptr.To(int32(2))
	})
	c.Restart()
	set = want(c, "web:1", "web:1", "web:2")
	if s := set.Status; s.CurrentRevision != first || s.UpdateRevision == first || s.CurrentReplicas != 2 || s.UpdatedReplicas != 1 {
		t.Errorf("status in the middle of an update %+v", s)
	}
	for _, name := range []string{"web-0", "web-2"} {
		if err := registry.For[*corev1.Pod](c.Registry).Delete(c.Context, "default", name, registry.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	c.Restart()
	want(c, "web:1", "web:1", "web:2")
	change(c, func(s *appsv1.StatefulSet) { s.Spec.UpdateStrategy.RollingUpdate.Partition = ptr.To(int32(0)) })
	c.Restart()
	set = want(c, "web:2", "web:2", "web:2")
	second := set.Status.UpdateRevision
	c.Until(func() string {
		if set, _ = controllertest.Get[*appsv1.StatefulSet](c, "default", "web"); set.Status.CurrentRevision != second || set.Status.CurrentReplicas != 3 {
			return "the update to be complete"
		}
		return ""
	}, apps.StatefulSet)

	// kubectl rollout undo: the first revision becomes the third.
	change(c, image("web:1"))
	c.Restart()
	set = want(c, "web:1", "web:1", "web:1")
	if revision, _ = controllertest.Get[*appsv1.ControllerRevision](c, "default", first); set.Status.UpdateRevision != first || revision.Revision != 3 {
		t.Errorf("the update's revision is %s, %d; want %s, 3", set.Status.UpdateRevision, revision.Revision, first)
	}
	change(c, image("web:3"))
	want(c, "web:3", "web:3", "web:3")
	c.Until(func() string {
		if got := controllertest.List[*appsv1.ControllerRevision](c, "default", "app=web"); len(got) != 2 {
			return fmt.Sprintf("the current revision and one of history, have %d", len(got))
		}
		return ""
	}, apps.ControllerRevision)
	c.Until(func() string {
		said := c.Events("web")
		for _, reason := range []string{"SuccessfulCreate", "SuccessfulDelete"} {
			if !slices.Contains(said, "statefulset-controller "+reason) {
				return fmt.Sprintf("the event %s, have %v", reason, said)
			}
		}
		return ""
	}, core.Event)

	if err := registry.For[*appsv1.StatefulSet](c.Registry).Delete(c.Context, "default", "web", registry.DeleteOptions{Propagation: "Background"}); err != nil {
		t.Fatal(err)
	}
	c.Until(func() string {
		if pods, revisions := names[*corev1.Pod](c, "app=web"), names[*appsv1.ControllerRevision](c, "app=web"); len(pods)+len(revisions) > 0 {
			return fmt.Sprintf("%v and %v to go", pods, revisions)
		}
		return ""
	}, watched...)
	if got := names[*corev1.PersistentVolumeClaim](c, "app=web"); len(got) != 3 { // whenDeleted: Retain
		t.Errorf("claims %v are left, want all three", got)
	}
}

// A set that is made again adopts pods and revisions that were left behind, and releases a pod that it no longer selects.
func TestStatefulSetAdoptsAndReleases(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	c.Apply(web)
	want(c, "web:1", "web:1", "web:1")
	before := controllertest.List[*corev1.Pod](c, "default", "app=web")
	if err := registry.For[*appsv1.StatefulSet](c.Registry).Delete(c.Context, "default", "web", registry.DeleteOptions{Propagation: "Orphan"}); err != nil {
		t.Fatal(err)
	}
	c.Until(func() string {
		if _, ok := controllertest.Get[*appsv1.StatefulSet](c, "default", "web"); ok {
			return "the set to go"
		}
		return ""
	}, apps.StatefulSet)
	c.Apply(`apiVersion: v1
kind: Pod
metadata: {namespace: default, name: other-0, labels: {app: web}}
spec: {containers: [{name: c, image: "web:1"}]}
`)
	c.Apply(web)
	c.Until(func() string {
		set, _ := controllertest.Get[*appsv1.StatefulSet](c, "default", "web")
		for _, was := range before {
			if p, ok := controllertest.Get[*corev1.Pod](c, "default", was.Name); !ok || p.UID != was.UID || !metav1.IsControlledBy(p, set) {
				return "the pods to be adopted"
			}
		}
		if r := controllertest.List[*appsv1.ControllerRevision](c, "default", "app=web"); len(r) != 1 || !metav1.IsControlledBy(r[0], set) || set.Status.UpdateRevision != r[0].Name {
			return "the revision to be adopted"
		}
		return ""
	}, watched...)
	if p, _ := controllertest.Get[*corev1.Pod](c, "default", "other-0"); len(p.OwnerReferences) > 0 {
		t.Errorf("a pod that has no name of the set is adopted: %v", p.OwnerReferences)
	}
	if _, err := registry.For[*corev1.Pod](c.Registry).Modify(c.Context, "default", "web-2", func(p *corev1.Pod) error { p.Labels["app"] = "aside"; return nil }); err != nil {
		t.Fatal(err)
	}
	c.Until(func() string {
		if p, _ := controllertest.Get[*corev1.Pod](c, "default", "web-2"); len(p.OwnerReferences) > 0 {
			return "the pod to be released"
		}
		return ""
	}, core.Pod)
}

// In parallel all pods are made although none becomes ready; the status counts on.
func TestStatefulSetInParallel(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	never := func(*corev1.Pod) bool { return true }
	c.Broken.Store(&never)
	c.Apply(strings.Replace(web, "replicas: 3", "replicas: 30\n  podManagementPolicy: Parallel", 1))
	c.Until(func() string {
		set, _ := controllertest.Get[*appsv1.StatefulSet](c, "default", "web")
		pods, claims := names[*corev1.Pod](c, "app=web"), names[*corev1.PersistentVolumeClaim](c, "app=web")
		if len(pods) != 30 || len(claims) != 30 || set.Status.Replicas != 30 || set.Status.ReadyReplicas != 0 {
			return fmt.Sprintf("30 pods and claims, have %d and %d, status %+v", len(pods), len(claims), set.Status)
		}
		return ""
	}, watched...)
	change(c, func(s *appsv1.StatefulSet) { s.Spec.Replicas = ptr.To(int32(2)) })
	c.Until(func() string {
		pods, claims := names[*corev1.Pod](c, "app=web"), names[*corev1.PersistentVolumeClaim](c, "app=web")
		if len(pods) != 2 || len(claims) != 2 {
			return fmt.Sprintf("2 pods and claims, have %d and %d", len(pods), len(claims))
		}
		return ""
	}, watched...)
}

// A revision of somebody else with the name that a new one derives makes the next name another.
func TestStatefulSetRevisionNamesCollide(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	c.Apply(web)
	set := want(c, "web:1", "web:1", "web:1")
	taken := set.Status.UpdateRevision
	if err := registry.For[*appsv1.StatefulSet](c.Registry).Delete(c.Context, "default", "web", registry.DeleteOptions{Propagation: "Background"}); err != nil {
		t.Fatal(err)
	}
	c.Until(func() string {
		if left := append(names[*corev1.Pod](c, ""), names[*appsv1.ControllerRevision](c, "")...); len(left) > 0 {
			return fmt.Sprintf("%v to go", left)
		}
		return ""
	}, watched...)
	c.Apply("apiVersion: apps/v1\nkind: ControllerRevision\nmetadata: {namespace: default, name: " + taken + "}\nrevision: 1\ndata: {other: true}\n")
	c.Apply(web)
	if set = want(c, "web:1", "web:1", "web:1"); *set.Status.CollisionCount != 1 || set.Status.UpdateRevision == taken {
		t.Errorf("status %+v, want one collision and another name than %s", set.Status, taken)
	}
}
