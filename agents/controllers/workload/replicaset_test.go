package workload_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controllertest"
	"gantry/registry"
	"gantry/schema/apps"
	"gantry/schema/core"
)

func TestReplicaSetAdoptsReleasesAndReplaces(t *testing.T) {
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
	c.Apply(controllertest.ReplicaSet)
	available := func(n int32) func() string {
		return func() string {
			rs, ok := controllertest.Get[*appsv1.ReplicaSet](c, "default", "web")
			if !ok || rs.Status.AvailableReplicas != n || rs.Status.Replicas != n {
				return fmt.Sprintf("%d available pods", n)
			}
			return ""
		}
	}
	c.Until(available(2), apps.ReplicaSet)
	orphan, _ := controllertest.Get[*corev1.Pod](c, "default", "orphan")
	if !metav1.IsControlledBy(orphan, controllertest.List[*appsv1.ReplicaSet](c, "default", "")[0]) {
		t.Fatalf("the orphan was not adopted: %v", orphan.OwnerReferences)
	}
	_, err := registry.For[*corev1.Pod](c.Registry).Modify(c.Context, "default", "orphan", func(p *corev1.Pod) error { p.Labels["app"] = "aside"; return nil })
	if err != nil {
		t.Fatal(err)
	}
	c.Until(func() string {
		orphan, ok := controllertest.Get[*corev1.Pod](c, "default", "orphan")
		if !ok {
			t.Fatal("the released pod was deleted")
		}
		if len(orphan.OwnerReferences) > 0 || len(controllertest.List[*corev1.Pod](c, "default", "app=web")) != 2 {
			return "the pod to be released and replaced"
		}
		return ""
	}, core.Pod)
	victim := controllertest.List[*corev1.Pod](c, "default", "app=web")[0]
	if err := registry.For[*corev1.Pod](c.Registry).Delete(c.Context, "default", victim.Name, registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.Until(func() string {
		if _, ok := controllertest.Get[*corev1.Pod](c, "default", victim.Name); ok {
			return "the deleted pod to go"
		}
		return available(2)()
	}, core.Pod, apps.ReplicaSet)
}

func TestReplicaSetSaysWhyItCannot(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	c.Apply(strings.Replace(controllertest.ReplicaSet, `image: "web:1"}]`, `image: "web:1"}], serviceAccountName: nobody`, 1))
	c.Until(func() string {
		rs, ok := controllertest.Get[*appsv1.ReplicaSet](c, "default", "web")
		if !ok || len(rs.Status.Conditions) == 0 {
			return "a condition"
		}
		if cond := rs.Status.Conditions[0]; cond.Reason != "FailedCreate" || !strings.Contains(cond.Message, "nobody") {
			t.Fatalf("condition %v, want FailedCreate that names nobody", cond)
		}
		if !slices.Contains(c.Events("web"), "replicaset-controller FailedCreate") {
			return "the event FailedCreate"
		}
		return ""
	}, apps.ReplicaSet, core.Event)
	c.Apply("apiVersion: v1\nkind: ServiceAccount\nmetadata: {namespace: default, name: nobody}\n")
	c.Until(func() string {
		if rs, _ := controllertest.Get[*appsv1.ReplicaSet](c, "default", "web"); rs.Status.AvailableReplicas != 2 || len(rs.Status.Conditions) > 0 {
			return "two available pods and no condition"
		}
		return ""
	}, apps.ReplicaSet)
}
