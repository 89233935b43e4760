package images

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/engine"
)

// invalidName is Kubernetes' text for a name that is none.
const invalidName = "Failed to apply default image tag %q: couldn't parse image name %q: %v"

// Parse completes an image's name with its tag.
func Parse(name string) (ref string, err error) {
	if ref, err = engine.ParseImage(name); err != nil {
		//lint:ignore ST1005 the pod's status shows this sentence as kubelets write it
		return "", fmt.Errorf(invalidName, name, name, err)
	}
	return ref, nil
}

// PullPolicy is the one that is given, or by the image's tag where none is.
func PullPolicy(given corev1.PullPolicy, ref string) corev1.PullPolicy {
	switch {
	case given != "":
		return given
	case strings.HasSuffix(ref, ":latest"):
		return corev1.PullAlways
	}
	return corev1.PullIfNotPresent
}
