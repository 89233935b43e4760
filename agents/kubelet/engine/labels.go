package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Labels of every container: the first ones are those that log collectors and cAdvisor know.
const (
	LabelPodName        = "io.kubernetes.pod.name"
	LabelPodNamespace   = "io.kubernetes.pod.namespace"
	LabelPodUID         = "io.kubernetes.pod.uid"
	LabelContainerName  = "io.kubernetes.container.name"
	LabelDockerType     = "io.kubernetes.docker.type" // "podsandbox" or "container"
	LabelSandboxID      = "io.kubernetes.sandbox.id"
	LabelRestartCount   = "io.kubernetes.container.restartCount"
	LabelMessagePath    = "io.kubernetes.container.terminationMessagePath"
	LabelMessagePolicy  = "io.kubernetes.container.terminationMessagePolicy"
	LabelPodGrace       = "io.kubernetes.pod.terminationGracePeriod" // seconds
	LabelNode           = "io.gantry.node"
	LabelSpecHash       = "io.gantry.container.spec"    // see SpecHash
	LabelBackoff        = "io.gantry.container.backoff" // seconds to wait after this attempt's end
	LabelPodHostNetwork = "io.gantry.pod.hostNetwork"   // "true", else absent
)

// Values of LabelDockerType.
const (
	dockerTypeSandbox   = "podsandbox"
	dockerTypeContainer = "container"
)

// SandboxName is a sandbox's container name. No container of a pod can have it.
const SandboxName = "POD"

// dockerName is k8s_<container>_<pod>_<ns>_<uid>_<attempt>.
func dockerName(pod *corev1.Pod, container string, attempt int) string {
	return fmt.Sprintf("k8s_%s_%s_%s_%s_%d", container, pod.Name, pod.Namespace, pod.UID, attempt)
}

// podLabels are the labels of every container of a pod: the pod's own, then ours, which win. grace is in seconds.
func podLabels(pod *corev1.Pod, node string, grace int64) map[string]string {
	l := map[string]string{}
	for k, v := range pod.Labels {
		l[k] = v
	}
	l[LabelPodName] = pod.Name
	l[LabelPodNamespace] = pod.Namespace
	l[LabelPodUID] = string(pod.UID)
	l[LabelNode] = node
	l[LabelPodGrace] = strconv.FormatInt(grace, 10)
	return l
}

// sandboxLabels are the labels of a pod's sandbox.
func sandboxLabels(c SandboxConfig, node string) map[string]string {
	l := podLabels(c.Pod, node, c.Grace)
	l[LabelDockerType] = dockerTypeSandbox
	l[LabelContainerName] = SandboxName
	l[LabelRestartCount] = strconv.Itoa(c.Attempt)
	if c.Pod.Spec.HostNetwork {
		l[LabelPodHostNetwork] = "true"
	}
	return l
}

// containerLabels are the labels of one attempt of a container.
func containerLabels(c ContainerConfig, node string) map[string]string {
	l := podLabels(c.Pod, node, c.Grace)
	l[LabelDockerType] = dockerTypeContainer
	l[LabelContainerName] = c.Container.Name
	l[LabelSandboxID] = c.Sandbox
	l[LabelRestartCount] = strconv.Itoa(c.Attempt)
	l[LabelMessagePath] = c.Container.TerminationMessagePath
	l[LabelMessagePolicy] = string(c.Container.TerminationMessagePolicy)
	l[LabelBackoff] = strconv.Itoa(int(c.Backoff / time.Second))
	l[LabelSpecHash] = SpecHash(c.Container)
	return l
}

// SpecHash is "v1:" and a hash over the container's image as it is stored in etcd: the one field of a running pod's
// container that may change in place. Hashing more would restart containers when a newer gateway stores a
// pod again with a default that an older one did not know (Kubernetes had that, k/k#53644 and later).
func SpecHash(c *corev1.Container) string {
	sum := sha256.Sum256([]byte(c.Image))
	return "v1:" + hex.EncodeToString(sum[:8])
}

// SpecChanged tells whether a container was created from another spec than c. A hash of another version, made by an older or newer
// kubelet, is no change.
func (s *ContainerStatus) SpecChanged(c *corev1.Container) bool {
	const version = "v1:"
	return strings.HasPrefix(s.SpecHash, version) && len(s.SpecHash) > len(version) && s.SpecHash != SpecHash(c)
}

// refOf reads a container's labels.
func refOf(id string, labels map[string]string) Ref {
	return Ref{
		ID: id, Pod: PodRef{labels[LabelPodNamespace], labels[LabelPodName], labels[LabelPodUID]},
		Sandbox: labels[LabelDockerType] == dockerTypeSandbox,
	}
}
