package admit

import corev1 "k8s.io/api/core/v1"

// containerKind says where in a pod's spec a container stands, as messages name it.
type containerKind string

const (
	initContainer      containerKind = "init container"
	mainContainer      containerKind = "container"
	ephemeralContainer containerKind = "ephemeral container"
)

// eachContainer calls f for every container of a pod, of all kinds there are. A rule that looks at containers uses
// it, so that none is forgotten.
func eachContainer(spec *corev1.PodSpec, f func(kind containerKind, c *corev1.Container)) {
	for i := range spec.InitContainers {
		f(initContainer, &spec.InitContainers[i])
	}
	for i := range spec.Containers {
		f(mainContainer, &spec.Containers[i])
	}
	for i := range spec.EphemeralContainers {
		f(ephemeralContainer, (*corev1.Container)(&spec.EphemeralContainers[i].EphemeralContainerCommon))
	}
}
