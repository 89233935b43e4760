package kubelet

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Labels of every container: the first ones are those that log collectors and cAdvisor know.
const (
	labelPodName        = "io.kubernetes.pod.name"
	labelPodNamespace   = "io.kubernetes.pod.namespace"
	labelPodUID         = "io.kubernetes.pod.uid"
	labelContainerName  = "io.kubernetes.container.name"
	labelDockerType     = "io.kubernetes.docker.type" // "podsandbox" or "container"
	labelSandboxID      = "io.kubernetes.sandbox.id"
	labelRestartCount   = "io.kubernetes.container.restartCount"
	labelMessagePath    = "io.kubernetes.container.terminationMessagePath"
	labelMessagePolicy  = "io.kubernetes.container.terminationMessagePolicy"
	labelPodGrace       = "io.kubernetes.pod.terminationGracePeriod" // seconds
	labelNode           = "io.gantry.node"
	labelSpec           = "io.gantry.container.spec"    // see specHash
	labelBackoff        = "io.gantry.container.backoff" // seconds to wait after this attempt's end
	labelPodHostNetwork = "io.gantry.pod.hostNetwork"   // "true", else absent
)

// Values of labelDockerType.
const (
	typeSandbox   = "podsandbox"
	typeContainer = "container"
)

// sandboxName is the container part of a sandbox's name.
const sandboxName = "POD"

// dockerName is k8s_<container>_<pod>_<ns>_<uid>_<attempt>.
func dockerName(pod *corev1.Pod, container string, attempt int) string {
	return fmt.Sprintf("k8s_%s_%s_%s_%s_%d", container, pod.Name, pod.Namespace, pod.UID, attempt)
}

// podLabels are the labels of every container of a pod: the pod's own, then ours, which win.
func podLabels(pod *corev1.Pod, node string) map[string]string {
	l := map[string]string{}
	for k, v := range pod.Labels {
		l[k] = v
	}
	l[labelPodName] = pod.Name
	l[labelPodNamespace] = pod.Namespace
	l[labelPodUID] = string(pod.UID)
	l[labelNode] = node
	l[labelPodGrace] = strconv.FormatInt(specGrace(pod), 10)
	return l
}

// sandboxLabels are the labels of a pod's pause container.
func sandboxLabels(pod *corev1.Pod, node string, attempt int) map[string]string {
	l := podLabels(pod, node)
	l[labelDockerType] = typeSandbox
	l[labelContainerName] = sandboxName
	l[labelRestartCount] = strconv.Itoa(attempt)
	if pod.Spec.HostNetwork {
		l[labelPodHostNetwork] = "true"
	}
	return l
}

// containerLabels are the labels of one attempt of a container; backoff is what to wait when it ends.
func containerLabels(pod *corev1.Pod, c *corev1.Container, node, sandbox string, attempt int, backoff time.Duration) map[string]string {
	l := podLabels(pod, node)
	l[labelDockerType] = typeContainer
	l[labelContainerName] = c.Name
	l[labelSandboxID] = sandbox
	l[labelRestartCount] = strconv.Itoa(attempt)
	l[labelMessagePath] = c.TerminationMessagePath
	l[labelMessagePolicy] = string(c.TerminationMessagePolicy)
	l[labelBackoff] = strconv.Itoa(int(backoff / time.Second))
	l[labelSpec] = specHash(c)
	return l
}

// specHash is "v1:" and a hash over the container's image as it is stored in etcd: the one field of a running pod's
// container that may change in place. Hashing more would restart containers when a newer gateway stores a
// pod again with a default that an older one did not know (Kubernetes had that, k/k#53644 and later).
func specHash(c *corev1.Container) string {
	sum := sha256.Sum256([]byte(c.Image))
	return "v1:" + hex.EncodeToString(sum[:8])
}

// specChanged tells whether the container was made from another spec. A hash of another version, made by an older or newer
// kubelet, is no change.
func specChanged(label string, c *corev1.Container) bool {
	const version = "v1:"
	return len(label) > len(version) && label[:len(version)] == version && label != specHash(c)
}

// defaultGrace is Kubernetes' terminationGracePeriodSeconds of a pod that names none.
const defaultGrace = 30

// specGrace is how many seconds the pod's containers get to end, by its spec.
func specGrace(pod *corev1.Pod) int64 {
	if pod.Spec.TerminationGracePeriodSeconds == nil {
		return defaultGrace
	}
	return *pod.Spec.TerminationGracePeriodSeconds
}
