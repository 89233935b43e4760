package kubelet

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"

	"gantry/registry"
	"gantry/registry/admit/plugins"
	"gantry/registry/registrytest"
	"gantry/schema"
	"gantry/schema/core"
)

// amounts are the resources of a container: "cpu", "memory" of its requests and of its limits.
func amounts(cpu, memory, cpuLimit, memoryLimit string) corev1.ResourceRequirements {
	list := func(cpu, memory string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
	}
	return corev1.ResourceRequirements{Requests: list(cpu, memory), Limits: list(cpuLimit, memoryLimit)}
}

// resize asks for other resources of a pod's first container, as `kubectl patch --subresource resize` does.
func (r *testCluster) resize(name string, to corev1.ResourceRequirements) {
	r.Helper()
	if err := r.tryResize(r.api, name, to); err != nil {
		r.Fatal(err)
	}
}

func (r *testCluster) tryResize(api *registry.Registry, name string, to corev1.ResourceRequirements) error {
	_, err := api.Modify(r.Context(), core.Pod, "default", name, func(current schema.Object) (schema.Object, error) {
		p := current.DeepCopyObject().(*corev1.Pod)
		p.Spec.Containers[0].Resources = to
		return p, nil
	}, registry.WriteOptions{Subresource: "resize"})
	return err
}

// resized tells whether the pod's container has what its spec asks for, and nothing of a resize is left to do.
func resized(p *corev1.Pod) bool {
	if p == nil || len(p.Status.ContainerStatuses) == 0 || p.Status.ContainerStatuses[0].Resources == nil || p.Status.ObservedGeneration != p.Generation {
		return false
	}
	s, want := p.Status.ContainerStatuses[0], p.Spec.Containers[0].Resources
	return isReady(p) && equality.Semantic.DeepEqual(*s.Resources, want) && equality.Semantic.DeepEqual(s.AllocatedResources, want.Requests) &&
		resizeCondition(p, corev1.PodResizePending) == nil && resizeCondition(p, corev1.PodResizeInProgress) == nil
}

func resizeCondition(p *corev1.Pod, t corev1.PodConditionType) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == t {
			return &p.Status.Conditions[i]
		}
	}
	return nil
}

func withResources(r corev1.ResourceRequirements, policies ...corev1.ContainerResizePolicy) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
		p.Spec.Containers[0].Resources = r
		p.Spec.Containers[0].ResizePolicy = policies
	}
}

func TestResizeInPlace(t *testing.T) {
	r := newTestCluster(t).start()
	r.run("web", withResources(amounts("20m", "35Mi", "30m", "45Mi")), "run")
	before := statuses(r.until("web", "running", resized))[0]
	for _, to := range []corev1.ResourceRequirements{amounts("40m", "60Mi", "80m", "70Mi"), amounts("10m", "30Mi", "25m", "40Mi")} {
		r.resize("web", to)
		after := statuses(r.until("web", "resized", resized))[0]
		if after.ContainerID != before.ContainerID || after.RestartCount != 0 {
			t.Errorf("the container was restarted: %+v", after)
		}
		in, err := r.docker.ContainerInspect(t.Context(), strings.TrimPrefix(after.ContainerID, "docker://"))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := in.HostConfig.Memory, to.Limits.Memory().Value(); got != want {
			t.Errorf("memory of the container: %d, want %d", got, want)
		}
		if got, want := in.HostConfig.CPUQuota, cpuQuota(to.Limits.Cpu().MilliValue()); got != want {
			t.Errorf("cpu quota of the container: %d, want %d", got, want)
		}
		if got, want := in.HostConfig.CPUShares, cpuShares(to.Requests.Cpu().MilliValue()); got != want {
			t.Errorf("cpu shares of the container: %d, want %d", got, want)
		}
	}
	for _, reason := range []string{"ResizeStarted", "ResizeCompleted"} {
		r.untilEvent("web", reason)
	}
}

func TestResizeRestartsWherePolicyAsks(t *testing.T) {
	r := newTestCluster(t).start()
	restart := corev1.ContainerResizePolicy{ResourceName: corev1.ResourceMemory, RestartPolicy: corev1.RestartContainer}
	r.run("web", withResources(amounts("20m", "35Mi", "30m", "45Mi"), restart), "run")
	r.until("web", "running", resized)
	r.resize("web", amounts("30m", "35Mi", "40m", "45Mi"))
	if c := statuses(r.until("web", "resized", resized))[0]; c.RestartCount != 0 {
		t.Errorf("restarts after another amount of cpu: %d, want 0", c.RestartCount)
	}
	r.resize("web", amounts("30m", "40Mi", "40m", "50Mi"))
	pod := r.until("web", "restarted and resized", func(p *corev1.Pod) bool { return resized(p) && statuses(p)[0].RestartCount > 0 })
	if c := statuses(pod)[0]; c.RestartCount != 1 {
		t.Errorf("restarts after another amount of memory: %d, want 1", c.RestartCount)
	}
}

func TestResizeThatTheNodeLacks(t *testing.T) {
	r := newTestCluster(t).start()
	node := r.untilNodeReady()
	cpu := node.Status.Allocatable.Cpu().MilliValue()
	share := func(tenths int64) corev1.ResourceRequirements {
		milli := *resource.NewMilliQuantity(cpu*tenths/10, resource.DecimalSI)
		return corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: milli}}
	}
	r.run("other", withResources(share(5)), "run")
	r.run("web", withResources(share(2)), "run")
	r.untilRunning("other")
	r.until("web", "running", resized)

	if err := r.tryResize(r.api, "web", share(20)); err == nil || !strings.Contains(err.Error(), "node didn't have enough allocatable resources: cpu") {
		t.Errorf("more than the node has: %v", err)
	}
	rules, err := plugins.Options{Disable: []string{"PodResizeValidator"}}.Rules()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.tryResize(registrytest.WithAdmission(t, r.store, rules), "web", share(20)); err != nil {
		t.Fatal(err)
	}
	pod := r.until("web", "infeasible to resize", func(p *corev1.Pod) bool {
		return p != nil && resizeCondition(p, corev1.PodResizePending) != nil
	})
	if c := resizeCondition(pod, corev1.PodResizePending); c.Reason != corev1.PodReasonInfeasible || !strings.HasPrefix(c.Message, "Node didn't have enough capacity: cpu, requested: ") {
		t.Errorf("condition: %+v", c)
	}
	if got, want := statuses(pod)[0].AllocatedResources, share(2).Requests; !equality.Semantic.DeepEqual(got, want) {
		t.Errorf("allocated: %v, want %v", got, want)
	}
	r.untilEvent("web", "ResizeInfeasible")

	r.stop() // a restarted kubelet knows what was granted
	r.start()
	r.resize("web", share(7))
	pod = r.until("web", "deferred in its resize", func(p *corev1.Pod) bool {
		return p != nil && resizeCondition(p, corev1.PodResizePending) != nil && resizeCondition(p, corev1.PodResizePending).Reason == corev1.PodReasonDeferred
	})
	if got, want := statuses(pod)[0].AllocatedResources, share(2).Requests; !equality.Semantic.DeepEqual(got, want) {
		t.Errorf("allocated: %v, want %v", got, want)
	}
	r.delete("other", nil)
	pod = r.until("web", "resized when the other has left", resized)
	in, err := r.docker.ContainerInspect(t.Context(), strings.TrimPrefix(statuses(pod)[0].ContainerID, "docker://"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := in.HostConfig.CPUShares, cpuShares(pod.Spec.Containers[0].Resources.Requests.Cpu().MilliValue()); got != want {
		t.Errorf("cpu shares of the container: %d, want %d", got, want)
	}
}

// cpuQuota and cpuShares are what the engine is to give for thousandths of a CPU.
func cpuQuota(milli int64) int64  { return milli * 100 }
func cpuShares(milli int64) int64 { return max(milli*1024/1000, 2) }
