// Package admission checks what a pod's spec asks of the node: names, sysctls, users. What needs the other pods of the node is in package
// allocation. All of it is pure but KernelRelease.
package admission

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"gantry/agents/kubelet/podstate"
)

// InvalidPod tells why a pod that was written to etcd without validation cannot be run: its containers' names become names of files.
func InvalidPod(pod *corev1.Pod) *podstate.Failure {
	seen := map[string]bool{}
	for _, m := range podstate.Members(pod) {
		if len(validation.IsDNS1123Label(m.Name)) > 0 || seen[m.Name] {
			return podstate.Rejection("InvalidPodSpec", "container name %q is not a unique DNS label", m.Name)
		}
		seen[m.Name] = true
	}
	for _, v := range pod.Spec.Volumes {
		if len(validation.IsDNS1123Label(v.Name)) > 0 {
			return podstate.Rejection("InvalidPodSpec", "volume name %q is not a DNS label", v.Name)
		}
	}
	return nil
}
