package admission

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/podstate/podstatetest"
)

func TestSysctlList(t *testing.T) {
	allowed := []string{"kernel.msg*", "net.core.somaxconn", "net/ipv4/conf/*", "kernel.sem"}
	set := func(name string, host ...string) *corev1.Pod {
		p := podstatetest.PodOf(corev1.RestartPolicyAlways, "a")
		p.Spec.SecurityContext = &corev1.PodSecurityContext{Sysctls: []corev1.Sysctl{{Name: "kernel.shm_rmid_forced", Value: "1"}, {Name: name, Value: "1"}}}
		for _, h := range host {
			p.Spec.HostNetwork, p.Spec.HostIPC = p.Spec.HostNetwork || h == "net", p.Spec.HostIPC || h == "ipc"
		}
		return p
	}
	for _, tc := range []struct {
		name, kernel string
		pod          *corev1.Pod
		want         string
	}{
		{"safe", "6.1.0-18-amd64", set("net.ipv4.tcp_syncookies"), ""},
		{"safe, with slashes", "6.1.0-18-amd64", set("net/ipv4/ping_group_range"), ""},
		{"safe since", "4.15.0", set("net.ipv4.tcp_rmem"), ""},
		{"not before", "4.14.9", set("net.ipv4.tcp_rmem"), `forbidden sysctl: "net.ipv4.tcp_rmem" not allowlisted`},
		{"an unknown kernel has none of those", "", set("net.ipv4.ip_local_reserved_ports"), `forbidden sysctl: "net.ipv4.ip_local_reserved_ports" not allowlisted`},
		{"unsafe", "6.1.0", set("kernel.shmmax"), `forbidden sysctl: "kernel.shmmax" not allowlisted`},
		{"unsafe, with slashes", "6.1.0", set("kernel/shmmax"), `forbidden sysctl: "kernel.shmmax" not allowlisted`},
		{"of the host", "6.1.0", set("vm.swappiness"), `forbidden sysctl: "vm.swappiness" not allowlisted`},
		{"allowed by a pattern", "6.1.0", set("kernel.msgmax"), ""},
		{"allowed by a pattern with slashes", "6.1.0", set("net.ipv4.conf.all.rp_filter"), ""},
		{"allowed by name", "6.1.0", set("net/core/somaxconn"), ""},
		{"a name is no beginning", "6.1.0", set("kernel.sem2"), `forbidden sysctl: "kernel.sem2" not allowlisted`},
		{"of the host's network", "6.1.0", set("net.core.somaxconn", "net"), `forbidden sysctl: "net.core.somaxconn" not allowed with host Net enabled`},
		{"safe, of the host's network", "6.1.0", set("net.ipv4.tcp_syncookies", "net"), `forbidden sysctl: "net.ipv4.tcp_syncookies" not allowed with host Net enabled`},
		{"of the host's ipc", "6.1.0", set("net.core.somaxconn", "ipc"), `forbidden sysctl: "kernel.shm_rmid_forced" not allowed with host IPC enabled`},
		{"no sysctl", "6.1.0", podstatetest.PodOf(corev1.RestartPolicyAlways, "a"), ""},
	} {
		l, err := NewSysctlList(tc.kernel, allowed)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if f := l.AdmissionFailure(tc.pod); f != nil {
			got = f.Message
		}
		if got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestSysctlPatterns(t *testing.T) {
	for pattern, want := range map[string]string{
		"kernel.msg*": "", "net.*": "", "fs.mqueue.*": "",
		"vm.*":        `the sysctls "vm." are not known to be namespaced`,
		"kernel.pid*": `the sysctls "kernel.pid" are not known to be namespaced`,
		"net.**":      `sysctl "net.**" must have at most 253 characters and match regex`,
		"":            `sysctl "" must have at most 253 characters and match regex`,
		"Net.x":       `sysctl "Net.x" must have at most 253 characters and match regex`,
	} {
		_, err := NewSysctlList("6.1", []string{pattern})
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", pattern, err, want)
		}
	}
}
