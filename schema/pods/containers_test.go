package pods

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func always() *corev1.ContainerRestartPolicy {
	p := corev1.ContainerRestartPolicyAlways
	return &p
}

// allKinds is a spec with every kind of container.
func allKinds() *corev1.PodSpec {
	onFailure := corev1.ContainerRestartPolicyOnFailure
	return &corev1.PodSpec{
		InitContainers: []corev1.Container{{Name: "init"}, {Name: "sidecar", RestartPolicy: always()}, {Name: "retried", RestartPolicy: &onFailure}},
		Containers:     []corev1.Container{{Name: "main"}, {Name: "second", RestartPolicy: always()}},
		EphemeralContainers: []corev1.EphemeralContainer{
			{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug"}},
		},
	}
}

func TestContainers(t *testing.T) {
	spec := allKinds()
	var got, paths []string
	for kind, c := range Containers(spec) {
		got = append(got, string(kind)+" "+c.Name)
		c.Image = "set"
	}
	for path, c := range ContainersWithPath(spec, field.NewPath("spec")) {
		paths = append(paths, path.String()+" "+c.Name)
		if c.Image != "set" {
			t.Errorf("%s: a copy was changed, not the container", path)
		}
	}
	want := []string{"init container init", "init container sidecar", "init container retried", "container main", "container second", "ephemeral container debug"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("containers (-want +got):\n%s", diff)
	}
	want = []string{
		"spec.initContainers[0] init", "spec.initContainers[1] sidecar", "spec.initContainers[2] retried",
		"spec.containers[0] main", "spec.containers[1] second", "spec.ephemeralContainers[0] debug",
	}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
}

func TestLongRunning(t *testing.T) {
	var got []string
	for c := range LongRunning(allKinds()) {
		got = append(got, c.Name)
	}
	if diff := cmp.Diff([]string{"sidecar", "main", "second"}, got); diff != "" {
		t.Errorf("long-running containers (-want +got):\n%s", diff)
	}
}

// TestIterationStops leaves every iterator at each of its containers.
func TestIterationStops(t *testing.T) {
	spec := allKinds()
	for stop := 1; stop <= 6; stop++ {
		n, paths, running := 0, 0, 0
		for range Containers(spec) {
			if n++; n == stop {
				break
			}
		}
		for range ContainersWithPath(spec, nil) {
			if paths++; paths == stop {
				break
			}
		}
		for range LongRunning(spec) {
			if running++; running == stop {
				break
			}
		}
		if n != stop || paths != stop || running != min(stop, 3) {
			t.Errorf("stopped at %d: %d containers, %d with paths, %d long-running", stop, n, paths, running)
		}
	}
}
