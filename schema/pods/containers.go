package pods

import (
	"iter"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ContainerKind is the list of a pod's spec that a container is in, as error messages name it.
type ContainerKind string

// The kinds of containers.
const (
	InitContainer      ContainerKind = "init container" // sidecars included
	MainContainer      ContainerKind = "container"
	EphemeralContainer ContainerKind = "ephemeral container"
)

// Containers iterates over all containers of a pod: init, main and ephemeral ones, in this order. An ephemeral container is seen as a
// Container, which has the same fields. The containers are those of the spec, not copies. Upstream:
// k8s.io/kubernetes/pkg/api/v1/pod.VisitContainers with AllContainers.
func Containers(spec *corev1.PodSpec) iter.Seq2[ContainerKind, *corev1.Container] {
	return func(yield func(ContainerKind, *corev1.Container) bool) {
		for i := range spec.InitContainers {
			if !yield(InitContainer, &spec.InitContainers[i]) {
				return
			}
		}
		for i := range spec.Containers {
			if !yield(MainContainer, &spec.Containers[i]) {
				return
			}
		}
		for i := range spec.EphemeralContainers {
			if !yield(EphemeralContainer, asContainer(&spec.EphemeralContainers[i])) {
				return
			}
		}
	}
}

// ContainersWithPath is Containers with each container's path below spec's path. Upstream:
// k8s.io/kubernetes/pkg/api/pod.VisitContainersWithPath.
func ContainersWithPath(spec *corev1.PodSpec, path *field.Path) iter.Seq2[*field.Path, *corev1.Container] {
	return func(yield func(*field.Path, *corev1.Container) bool) {
		for i := range spec.InitContainers {
			if !yield(path.Child("initContainers").Index(i), &spec.InitContainers[i]) {
				return
			}
		}
		for i := range spec.Containers {
			if !yield(path.Child("containers").Index(i), &spec.Containers[i]) {
				return
			}
		}
		for i := range spec.EphemeralContainers {
			if !yield(path.Child("ephemeralContainers").Index(i), asContainer(&spec.EphemeralContainers[i])) {
				return
			}
		}
	}
}

func asContainer(c *corev1.EphemeralContainer) *corev1.Container {
	return (*corev1.Container)(&c.EphemeralContainerCommon)
}

// LongRunning iterates over the containers that run at the same time: main containers and sidecars, in the order of the spec.
func LongRunning(spec *corev1.PodSpec) iter.Seq[*corev1.Container] {
	return func(yield func(*corev1.Container) bool) {
		for i := range spec.InitContainers {
			if c := &spec.InitContainers[i]; IsSidecar(c) && !yield(c) {
				return
			}
		}
		for i := range spec.Containers {
			if !yield(&spec.Containers[i]) {
				return
			}
		}
	}
}

// IsSidecar returns whether an init container is a sidecar: its restartPolicy is Always, and it runs beside the containers that follow
// it. It says nothing about main containers, which may have the same restartPolicy. Upstream:
// k8s.io/kubernetes/pkg/api/v1/pod.IsRestartableInitContainer.
func IsSidecar(initContainer *corev1.Container) bool {
	return initContainer.RestartPolicy != nil && *initContainer.RestartPolicy == corev1.ContainerRestartPolicyAlways
}
