package kubelet

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// invalidPod tells why a pod that was written to etcd without validation cannot be run: its containers' names become names of files.
func invalidPod(pod *corev1.Pod) *failure {
	seen := map[string]bool{}
	for _, m := range members(pod) {
		if len(validation.IsDNS1123Label(m.Name)) > 0 || seen[m.Name] {
			return rejection("InvalidPodSpec", "container name %q is not a unique DNS label", m.Name)
		}
		seen[m.Name] = true
	}
	for _, v := range pod.Spec.Volumes {
		if len(validation.IsDNS1123Label(v.Name)) > 0 {
			return rejection("InvalidPodSpec", "volume name %q is not a DNS label", v.Name)
		}
	}
	return nil
}
