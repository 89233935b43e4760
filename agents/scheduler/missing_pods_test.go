package scheduler

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"gantry/registry"
	"gantry/registry/bynode"
	"gantry/registry/registrytest"
	"gantry/registry/store/storetest"
)

// TestVanishedPodsKeepTheirRoom: a pod that was deleted with etcdctl keeps its room while its copy by node is there, also for the next
// leader; a pod that was deleted through the API does not.
func TestVanishedPodsKeepTheirRoom(t *testing.T) {
	r, etcd := registrytest.New(t)
	c := cluster{r, registry.For[*corev1.Pod](r), registry.For[*corev1.Node](r)}
	c.addNode(t, aNode("n1"))
	stop := c.schedule(t, "a")
	for _, name := range []string{"one", "two", "three"} {
		c.addPod(t, name, requests("cpu", "1"))
	}
	c.await(t, "bound", hasNode, "one", "two", "three")

	storetest.Put(t, etcd, bynode.HoldKey, `{"pods":["default/one"]}`)
	storetest.Delete(t, etcd, "/registry/pods/default/one")
	zero := int64(0)
	if err := c.pods.Delete(t.Context(), "default", "three", registry.DeleteOptions{GracePeriodSeconds: &zero}); err != nil {
		t.Fatal(err)
	}
	explained := func(p *corev1.Pod) bool { return len(p.Status.Conditions) > 0 && p.Spec.NodeName == "" }
	c.addPod(t, "large", requests("cpu", "3"))
	c.await(t, "without room", explained, "large")
	c.addPod(t, "medium", requests("cpu", "2"))
	c.await(t, "bound", hasNode, "medium")

	stop()
	stop = c.schedule(t, "b")
	c.addPod(t, "small", requests("cpu", "1"))
	c.await(t, "without room at the next leader", explained, "small")

	storetest.Delete(t, etcd, "/gantry/bynode/n1/pods/default/one", bynode.HoldKey) // it is given up
	c.await(t, "bound", hasNode, "small")
	c.await(t, "without room still", explained, "large")
	stop()
}

// TestAVanishedPodThatIsPutBack is accounted for once.
func TestAVanishedPodThatIsPutBack(t *testing.T) {
	r, etcd := registrytest.New(t)
	c := cluster{r, registry.For[*corev1.Pod](r), registry.For[*corev1.Node](r)}
	c.addNode(t, aNode("n1"))
	c.schedule(t, "a")
	c.addPod(t, "one", requests("cpu", "2"))
	c.await(t, "bound", hasNode, "one")
	value, _ := storetest.Value(t, etcd, "/registry/pods/default/one")
	storetest.Delete(t, etcd, "/registry/pods/default/one")
	c.addPod(t, "large", requests("cpu", "3"))
	c.await(t, "without room", func(p *corev1.Pod) bool { return len(p.Status.Conditions) > 0 && p.Spec.NodeName == "" }, "large")
	storetest.Put(t, etcd, "/registry/pods/default/one", value)
	c.addPod(t, "half", requests("cpu", "2"))
	c.await(t, "bound", hasNode, "one", "half")
	zero := int64(0)
	for _, name := range []string{"one", "half"} {
		if err := c.pods.Delete(t.Context(), "default", name, registry.DeleteOptions{GracePeriodSeconds: &zero}); err != nil {
			t.Fatal(err)
		}
	}
	c.await(t, "bound", hasNode, "large")
}
