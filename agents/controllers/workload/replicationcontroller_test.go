package workload_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controllertest"
	"gantry/registry"
	"gantry/schema/core"
)

const replicationController = `apiVersion: v1
kind: ReplicationController
metadata: {namespace: default, name: web}
spec:
  replicas: 2
  selector: {app: web}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "web:1"}]}
`

// A replication controller adopts, releases, scales, and its pods go with it or stay behind, as those of a replica set.
func TestReplicationController(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	c.Apply(`apiVersion: v1
kind: Pod
metadata: {namespace: default, name: orphan, labels: {app: web}}
spec: {containers: [{name: c, image: "web:1"}]}
`)
	if _, ok := controllertest.Get[*corev1.Pod](c, "default", "orphan"); !ok { // consistent: the controller's cache has it too
		t.Fatal("the orphan is not there")
	}
	c.Apply(replicationController)
	available := func(n int32) {
		t.Helper()
		c.Until(func() string {
			rc, _ := controllertest.Get[*corev1.ReplicationController](c, "default", "web")
			if s := rc.Status; s.AvailableReplicas != n || s.ReadyReplicas != n || s.Replicas != n || s.FullyLabeledReplicas != n || s.ObservedGeneration != rc.Generation {
				return fmt.Sprintf("%d available pods, have %+v", n, s)
			}
			return ""
		}, core.ReplicationController)
	}
	available(2)
	controllers := registry.For[*corev1.ReplicationController](c.Registry)
	rc, _ := controllertest.Get[*corev1.ReplicationController](c, "default", "web")
	orphan, _ := controllertest.Get[*corev1.Pod](c, "default", "orphan")
	if ref := metav1.GetControllerOf(orphan); ref == nil || ref.Kind != "ReplicationController" || ref.APIVersion != "v1" || ref.UID != rc.UID {
		t.Errorf("the orphan's controller is %v", ref)
	}
	if _, err := registry.For[*corev1.Pod](c.Registry).Modify(c.Context, "default", "orphan", func(p *corev1.Pod) error { p.Labels["app"] = "aside"; return nil }); err != nil {
		t.Fatal(err)
	}
	c.Until(func() string {
		if orphan, ok := controllertest.Get[*corev1.Pod](c, "default", "orphan"); !ok || len(orphan.OwnerReferences) > 0 {
			return "the pod to be released"
		}
		return ""
	}, core.Pod)
	four := int32(4)
	if _, err := controllers.Modify(c.Context, "default", "web", func(rc *corev1.ReplicationController) error { rc.Spec.Replicas = &four; return nil }); err != nil {
		t.Fatal(err)
	}
	available(4)
	c.Until(func() string {
		if said := c.Events("web"); !slices.Contains(said, "replication-controller SuccessfulCreate") {
			return fmt.Sprintf("the event SuccessfulCreate, have %v", said)
		}
		return ""
	}, core.Event)
	if err := controllers.Delete(c.Context, "default", "web", registry.DeleteOptions{}); err != nil { // its default is to orphan
		t.Fatal(err)
	}
	c.Until(func() string {
		if _, ok := controllertest.Get[*corev1.ReplicationController](c, "default", "web"); ok {
			return "the replication controller to go"
		}
		return ""
	}, core.ReplicationController)
	if n := len(controllertest.List[*corev1.Pod](c, "default", "app=web")); n != 4 {
		t.Errorf("%d pods are left behind, want 4", n)
	}
	c.Apply(replicationController)
	available(2)
	if err := controllers.Delete(c.Context, "default", "web", registry.DeleteOptions{Propagation: "Background"}); err != nil {
		t.Fatal(err)
	}
	c.Until(func() string {
		if n := len(controllertest.List[*corev1.Pod](c, "default", "app=web")); n > 0 {
			return fmt.Sprintf("%d pods to go", n)
		}
		return ""
	}, core.Pod)
}

func TestReplicationControllerSaysWhyItCannot(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	c.Apply(strings.Replace(replicationController, `image: "web:1"}]`, `image: "web:1"}], serviceAccountName: nobody`, 1))
	c.Until(func() string {
		rc, _ := controllertest.Get[*corev1.ReplicationController](c, "default", "web")
		if len(rc.Status.Conditions) == 0 {
			return "a condition"
		}
		if cond := rc.Status.Conditions[0]; cond.Type != corev1.ReplicationControllerReplicaFailure || cond.Reason != "FailedCreate" || !strings.HasPrefix(cond.Message, "pods ") {
			t.Fatalf("condition %v, want ReplicaFailure FailedCreate with the registry's message", cond)
		}
		if !slices.Contains(c.Events("web"), "replication-controller FailedCreate") {
			return "the event FailedCreate"
		}
		return ""
	}, core.ReplicationController, core.Event)
}
