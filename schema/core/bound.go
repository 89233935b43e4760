package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// The limits of a pod's lists, far above what a node can run.
const (
	maxContainers = 1000 // of each list
	maxResources  = 500  // names in one pod: sums of resources are made once for each of its containers
)

var specPath = field.NewPath("spec")

func boundPod(pod *corev1.Pod) field.ErrorList { return BoundPodSpec(&pod.Spec, specPath) }

// BoundPodSpec returns errors for lists that are too long. It is called before a spec is defaulted and validated.
func BoundPodSpec(spec *corev1.PodSpec, p *field.Path) (errs field.ErrorList) {
	for _, l := range [...]struct {
		name string
		n    int
	}{
		{"initContainers", len(spec.InitContainers)}, {"containers", len(spec.Containers)}, {"ephemeralContainers", len(spec.EphemeralContainers)},
	} {
		if l.n > maxContainers {
			errs = append(errs, field.TooMany(p.Child(l.name), l.n, maxContainers))
		}
	}
	if n := len(spec.Overhead) + listed(spec.Resources); len(errs) == 0 && n+containerResources(spec) > maxResources {
		if n := distinctResources(spec); n > maxResources {
			errs = append(errs, field.TooMany(p.Child("containers", "resources"), n, maxResources))
		}
	}
	return errs
}

func listed(r *corev1.ResourceRequirements) int {
	if r == nil {
		return 0
	}
	return len(r.Limits) + len(r.Requests)
}

// containerResources counts the resources that containers list.
func containerResources(spec *corev1.PodSpec) (n int) {
	for i := range spec.InitContainers {
		n += listed(&spec.InitContainers[i].Resources)
	}
	for i := range spec.Containers {
		n += listed(&spec.Containers[i].Resources)
	}
	return n
}

// distinctResources counts the names of resources in a pod.
func distinctResources(spec *corev1.PodSpec) int {
	names := map[corev1.ResourceName]bool{}
	add := func(lists ...corev1.ResourceList) {
		for _, list := range lists {
			for name := range list {
				names[name] = true
			}
		}
	}
	add(spec.Overhead)
	if spec.Resources != nil {
		add(spec.Resources.Limits, spec.Resources.Requests)
	}
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			add(list[i].Resources.Limits, list[i].Resources.Requests)
		}
	}
	return len(names)
}
