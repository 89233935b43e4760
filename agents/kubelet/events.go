package kubelet

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/dns"
	"gantry/agents/kubelet/podstate"
	"gantry/registry"
	"gantry/schema/core"
)

// podEvent records an event of a pod.
func (k *kubelet) podEvent(pod *corev1.Pod, kind, reason, format string, args ...any) {
	k.events.Event(core.Pod, pod, kind, reason, format, args...)
}

// containerEvent records an event of a container of a pod.
func (k *kubelet) containerEvent(pod *corev1.Pod, c podstate.Member, kind, reason, format string, args ...any) {
	list := "initContainers"
	switch c.Role {
	case podstate.RoleApp:
		list = "containers"
	case podstate.RoleEphemeral:
		list = "ephemeralContainers"
	}
	k.events.Ref(corev1.ObjectReference{
		APIVersion: core.Pod.APIVersion(), Kind: core.Pod.Kind, Namespace: pod.Namespace, Name: pod.Name,
		UID: pod.UID, ResourceVersion: pod.ResourceVersion, FieldPath: fmt.Sprintf("spec.%s{%s}", list, c.Name),
	}, kind, reason, format, args...)
}

// warnOfResolver records what a pod's resolv.conf lacks.
func (k *kubelet) warnOfResolver(pod *corev1.Pod, warnings []string) {
	for _, w := range warnings {
		k.podEvent(pod, corev1.EventTypeWarning, "DNSConfigForming", "%s", w)
	}
	if len(k.cfg.ClusterDNS) == 0 && dns.NeedsClusterDNS(pod) {
		k.podEvent(pod, corev1.EventTypeWarning, "MissingClusterDNS", "pod: %q. kubelet does not have ClusterDNS IP configured and cannot create Pod using %q policy. Falling back to %q policy.",
			fmt.Sprintf("%s_%s(%s)", pod.Name, pod.Namespace, pod.UID), corev1.DNSClusterFirst, corev1.DNSDefault)
	}
}

func isNotFound(err error) bool { return errors.Is(err, registry.NotFound) }
