package pods

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func cpu(text string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(text)}
}

func requesting(text string) corev1.Container {
	return corev1.Container{Name: "c", Resources: corev1.ResourceRequirements{Requests: cpu(text)}}
}

func sidecar(text string) corev1.Container {
	c := requesting(text)
	c.RestartPolicy = always()
	return c
}

func TestRequests(t *testing.T) {
	tests := []struct {
		name                 string
		spec                 corev1.PodSpec
		want, wantDefaulting string // with 100m for containers that request none
	}{
		{name: "nothing", spec: corev1.PodSpec{Containers: []corev1.Container{{}}}, want: "0", wantDefaulting: "100m"},
		{name: "main containers add up", spec: corev1.PodSpec{Containers: []corev1.Container{requesting("1"), requesting("2"), {}}}, want: "3", wantDefaulting: "3100m"},
		{name: "the greatest init container", spec: corev1.PodSpec{
			InitContainers: []corev1.Container{requesting("5"), requesting("4")}, Containers: []corev1.Container{requesting("1")},
		}, want: "5", wantDefaulting: "5"},
		{name: "a sidecar runs beside the main containers", spec: corev1.PodSpec{
			InitContainers: []corev1.Container{sidecar("2"), requesting("1")}, Containers: []corev1.Container{requesting("3")},
		}, want: "5", wantDefaulting: "5"},
		{name: "a sidecar runs beside the init containers after it", spec: corev1.PodSpec{
			InitContainers: []corev1.Container{requesting("4"), sidecar("2"), requesting("4")}, Containers: []corev1.Container{requesting("1")},
		}, want: "6", wantDefaulting: "6"},
		{name: "overhead", spec: corev1.PodSpec{Containers: []corev1.Container{requesting("1")}, Overhead: cpu("250m")}, want: "1250m", wantDefaulting: "1250m"},
		{name: "pod-level resources", spec: corev1.PodSpec{
			Containers: []corev1.Container{requesting("1")}, Overhead: cpu("1"), Resources: &corev1.ResourceRequirements{Requests: cpu("4")},
		}, want: "5", wantDefaulting: "5"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pod := &corev1.Pod{Spec: tt.spec}
			for name, got := range map[string]corev1.ResourceList{"Requests": Requests(pod), "SpecRequests": SpecRequests(pod)} {
				if q := got[corev1.ResourceCPU]; q.Cmp(resource.MustParse(tt.want)) != 0 {
					t.Errorf("%s: %s, want %s", name, q.String(), tt.want)
				}
			}
			if q := RequestsWithDefaults(pod, cpu("100m"))[corev1.ResourceCPU]; q.Cmp(resource.MustParse(tt.wantDefaulting)) != 0 {
				t.Errorf("with defaults: %s, want %s", q.String(), tt.wantDefaulting)
			}
		})
	}
}

// TestRequestsOfAResize checks that the requests of a pod are the largest of spec and status during a resize, and those of the spec where
// only the spec is asked for.
func TestRequestsOfAResize(t *testing.T) {
	status := func(name, has, allocated string) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: name, Resources: &corev1.ResourceRequirements{Requests: cpu(has)}, AllocatedResources: cpu(allocated)}
	}
	tests := []struct {
		name     string
		statuses []corev1.ContainerStatus
		want     string
		resized  bool
	}{
		{name: "no status", want: "2"},
		{name: "as the spec says", statuses: []corev1.ContainerStatus{status("c", "2", "2")}, want: "2"},
		{name: "still has more", statuses: []corev1.ContainerStatus{status("c", "3", "2")}, want: "3", resized: true},
		{name: "more is allocated", statuses: []corev1.ContainerStatus{status("c", "2", "4")}, want: "4", resized: true},
		{name: "has less", statuses: []corev1.ContainerStatus{status("c", "1", "1")}, want: "2", resized: true},
		{name: "of another container", statuses: []corev1.ContainerStatus{status("other", "9", "9")}, want: "2"},
		{name: "more statuses than containers", statuses: []corev1.ContainerStatus{status("c", "2", "2"), status("c", "9", "9")}, want: "2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{requesting("2")}}, Status: corev1.PodStatus{ContainerStatuses: tt.statuses}}
			if got := IsBeingResized(pod); got != tt.resized {
				t.Errorf("being resized %v, want %v", got, tt.resized)
			}
			if q := SpecRequests(pod)[corev1.ResourceCPU]; q.Cmp(resource.MustParse("2")) != 0 {
				t.Errorf("the spec requests %s, want 2", q.String())
			}
			if !tt.resized {
				return
			}
			if q := Requests(pod)[corev1.ResourceCPU]; q.Cmp(resource.MustParse(tt.want)) != 0 {
				t.Errorf("requests %s, want %s", q.String(), tt.want)
			}
		})
	}
}
