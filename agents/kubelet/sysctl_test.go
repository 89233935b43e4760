package kubelet

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestSysctlList(t *testing.T) {
	allowed := []string{"kernel.msg*", "net.core.somaxconn", "net/ipv4/conf/*", "kernel.sem"}
	set := func(name string, host ...string) *corev1.Pod {
		p := podOf(corev1.RestartPolicyAlways, "a")
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
		{"no sysctl", "6.1.0", podOf(corev1.RestartPolicyAlways, "a"), ""},
	} {
		l, err := newSysctlList(tc.kernel, allowed)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if f := l.admissionFailure(tc.pod); f != nil {
			got = f.message
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
		_, err := newSysctlList("6.1", []string{pattern})
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", pattern, err, want)
		}
	}
	if err := (Config{AllowedUnsafeSysctls: []string{"vm.*"}}).Validate(); err == nil || !strings.Contains(err.Error(), `--allowed-unsafe-sysctls: the sysctls "vm."`) {
		t.Errorf("validating a configuration: %v", err)
	}
}

func TestSysctlsOfAPod(t *testing.T) {
	r := newTestCluster(t)
	r.change = func(c *Config) { c.AllowedUnsafeSysctls = []string{"kernel.msg*"} }
	r.start()
	sets := func(all ...corev1.Sysctl) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Spec.SecurityContext = &corev1.PodSecurityContext{Sysctls: all} }
	}
	r.run("unsafe", sets(corev1.Sysctl{Name: "kernel/shm_rmid_forced", Value: "1"}, corev1.Sysctl{Name: "kernel.shmmax", Value: "100000000"}), "run")
	r.run("safe", sets(corev1.Sysctl{Name: "kernel/shm_rmid_forced", Value: "1"}, corev1.Sysctl{Name: "net.ipv4.ip_local_port_range", Value: "1024 2048"},
		corev1.Sysctl{Name: "kernel.msgmax", Value: "65536"}), "cat", "/proc/sys/kernel/shm_rmid_forced", "/proc/sys/net/ipv4/ip_local_port_range", "/proc/sys/kernel/msgmax")
	pod := r.until("unsafe", "Failed", hasPhase(corev1.PodFailed))
	if s := pod.Status; s.Reason != "SysctlForbidden" || s.Message != `Pod was rejected: forbidden sysctl: "kernel.shmmax" not allowlisted` || len(s.ContainerStatuses) > 0 {
		t.Errorf("status: %+v", s)
	}
	if e := r.untilEvent("unsafe", "SysctlForbidden"); e.Message != `forbidden sysctl: "kernel.shmmax" not allowlisted` || e.Type != corev1.EventTypeWarning {
		t.Errorf("event: %s %q", e.Type, e.Message)
	}
	text := r.untilLog(r.untilRunning("safe").Status.ContainerStatuses[0].ContainerID, "\nup\n")
	for _, want := range []string{"shm_rmid_forced <nil>\n1\n", "ip_local_port_range <nil>\n1024\t2048\n", "msgmax <nil>\n65536\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
}
