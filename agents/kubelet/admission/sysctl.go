package admission

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	utilversion "k8s.io/apimachinery/pkg/util/version"
	"k8s.io/component-helpers/node/util/sysctl"

	"gantry/agents/kubelet/podstate"
)

// safeSysctls are those that every pod may set: namespaced, and without an effect on other pods. Those with a kernel's version are
// namespaced since that one.
var safeSysctls = []struct{ name, kernel string }{
	{name: "kernel.shm_rmid_forced"},
	{name: "net.ipv4.ip_local_port_range"},
	{name: "net.ipv4.tcp_syncookies"},
	{name: "net.ipv4.ping_group_range"},
	{name: "net.ipv4.ip_unprivileged_port_start"},
	{name: "net.ipv4.ip_local_reserved_ports", kernel: "3.16"},
	{name: "net.ipv4.tcp_keepalive_time", kernel: "4.5"},
	{name: "net.ipv4.tcp_fin_timeout", kernel: "4.6"},
	{name: "net.ipv4.tcp_keepalive_intvl", kernel: "4.5"},
	{name: "net.ipv4.tcp_keepalive_probes", kernel: "4.5"},
	{name: "net.ipv4.tcp_rmem", kernel: "4.15"},
	{name: "net.ipv4.tcp_wmem", kernel: "4.15"},
}

// SysctlList is which sysctls pods may set.
type SysctlList struct{ names, prefixes map[string]sysctl.Namespace }

// sysctlPattern is a sysctl's name, or the beginning of one with a * for the rest: "kernel.msg*", "net/ipv4/*".
var sysctlPattern = regexp.MustCompile(`^` + sysctlPatternText + `$`)

const (
	sysctlSegment     = `[a-z0-9]([-_a-z0-9]*[a-z0-9])?`
	sysctlPatternText = `(` + sysctlSegment + `[\./])*([a-z0-9][-_a-z0-9]*)?[a-z0-9*]`
	sysctlMaxLength   = 253
)

// NewSysctlList makes the list of the safe sysctls of a kernel and of those that the operator allows besides.
func NewSysctlList(kernel string, allowed []string) (SysctlList, error) {
	l := SysctlList{names: map[string]sysctl.Namespace{}, prefixes: map[string]sysctl.Namespace{}}
	has, err := utilversion.ParseGeneric(kernel)
	for _, s := range safeSysctls {
		if s.kernel == "" || err == nil && has.AtLeast(utilversion.MustParseGeneric(s.kernel)) {
			l.names[s.name], _, _ = sysctl.GetNamespace(s.name)
		}
	}
	for _, pattern := range allowed {
		if len(pattern) > sysctlMaxLength || !sysctlPattern.MatchString(pattern) {
			return l, fmt.Errorf("sysctl %q must have at most %d characters and match regex %s", pattern, sysctlMaxLength, sysctlPatternText)
		}
		namespace, name, prefix := sysctl.GetNamespace(pattern)
		switch {
		case namespace == sysctl.UnknownNamespace:
			return l, fmt.Errorf("the sysctls %q are not known to be namespaced", name)
		case prefix:
			l.prefixes[name] = namespace
		default:
			l.names[name] = namespace
		}
	}
	return l, nil
}

// KernelRelease is the host's kernel: "6.1.0-18-amd64".
func KernelRelease() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// AdmissionFailure tells why the pod may not set one of its sysctls.
func (l SysctlList) AdmissionFailure(pod *corev1.Pod) *podstate.Failure {
	if pod.Spec.SecurityContext == nil {
		return nil
	}
	for _, s := range pod.Spec.SecurityContext.Sysctls {
		if fault := l.check(sysctl.NormalizeName(s.Name), pod); fault != "" {
			return podstate.Rejection("SysctlForbidden", "forbidden sysctl: %s", fault)
		}
	}
	return nil
}

// check tells what is wrong with a sysctl, "" where nothing is. One of a namespace that the pod shares with the host would be the host's.
func (l SysctlList) check(name string, pod *corev1.Pod) string {
	namespace, ok := l.names[name]
	for prefix, n := range l.prefixes {
		if !ok && strings.HasPrefix(name, prefix) {
			namespace, ok = n, true
		}
	}
	switch {
	case !ok:
		return fmt.Sprintf("%q not allowlisted", name)
	case namespace == sysctl.IPCNamespace && pod.Spec.HostIPC, namespace == sysctl.NetNamespace && pod.Spec.HostNetwork:
		return fmt.Sprintf("%q not allowed with host %s enabled", name, namespace)
	}
	return ""
}

// Sysctls are the pod's, as the engine takes them: with dots between their parts, and a slash for a dot within one.
func Sysctls(pod *corev1.Pod) map[string]string {
	if pod.Spec.SecurityContext == nil || len(pod.Spec.SecurityContext.Sysctls) == 0 {
		return nil
	}
	all := map[string]string{}
	for _, s := range pod.Spec.SecurityContext.Sysctls {
		all[sysctl.NormalizeName(s.Name)] = s.Value
	}
	return all
}
