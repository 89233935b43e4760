package dns

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// maxHostname is Linux' limit, in bytes.
const maxHostname = 63

// Hostname is the pod's name of itself.
func Hostname(pod *corev1.Pod) string {
	name := pod.Name
	if pod.Spec.HostnameOverride != nil && *pod.Spec.HostnameOverride != "" {
		name = *pod.Spec.HostnameOverride
	} else if pod.Spec.Hostname != "" {
		name = pod.Spec.Hostname
	}
	if len(name) > maxHostname {
		name = strings.TrimRight(name[:maxHostname], "-.")
	}
	return name
}

// SandboxHostname is the hostname of the pod's namespace: its full name where the pod asks for that. domain is the cluster's.
func SandboxHostname(pod *corev1.Pod, domain string) string {
	name := Hostname(pod)
	if d := podDomain(pod); d != "" && pod.Spec.SetHostnameAsFQDN != nil && *pod.Spec.SetHostnameAsFQDN {
		name += "." + d + "." + domain
	}
	return name
}

// podDomain is what follows the pod's hostname in its full name, without the cluster's domain; "" without a subdomain.
func podDomain(pod *corev1.Pod) string {
	if pod.Spec.Subdomain == "" {
		return ""
	}
	return fmt.Sprintf("%s.%s.svc", pod.Spec.Subdomain, pod.Namespace)
}
