package kubelet

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestExpand(t *testing.T) {
	value := func(name string) (string, bool) { return "<" + name + ">", name != "NONE" }
	for in, want := range map[string]string{
		"":              "",
		"plain":         "plain",
		"$(A)":          "<A>",
		"x$(A)y$(B)z":   "x<A>y<B>z",
		"$$(A)":         "$(A)",
		"$$$(A)":        "$<A>",
		"$(NONE)":       "$(NONE)",
		"$(A":           "$(A",
		"$":             "$",
		"a$":            "a$",
		"$A":            "$A",
		"$(A)$(NONE)$$": "<A>$(NONE)$",
	} {
		if got := expand(in, value); got != want {
			t.Errorf("expand(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestServiceEnv(t *testing.T) {
	service := func(ns, name, ip string, ports ...corev1.ServicePort) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}, Spec: corev1.ServiceSpec{ClusterIP: ip, Ports: ports}}
	}
	all := []*corev1.Service{
		service("default", "kubernetes", "10.96.0.1", corev1.ServicePort{Name: "https", Port: 443, Protocol: corev1.ProtocolTCP}),
		service("shop", "data-base", "10.96.0.9", corev1.ServicePort{Name: "sql-main", Port: 5432, Protocol: corev1.ProtocolTCP}),
		service("shop", "headless", "None", corev1.ServicePort{Port: 1}),
		service("other", "x", "10.96.0.10", corev1.ServicePort{Port: 1}),
	}
	api := map[string]string{
		"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443", "KUBERNETES_SERVICE_PORT_HTTPS": "443",
		"KUBERNETES_PORT": "tcp://10.96.0.1:443", "KUBERNETES_PORT_443_TCP": "tcp://10.96.0.1:443",
		"KUBERNETES_PORT_443_TCP_PROTO": "tcp", "KUBERNETES_PORT_443_TCP_PORT": "443", "KUBERNETES_PORT_443_TCP_ADDR": "10.96.0.1",
	}
	linked := map[string]string{
		"DATA_BASE_SERVICE_HOST": "10.96.0.9", "DATA_BASE_SERVICE_PORT": "5432", "DATA_BASE_SERVICE_PORT_SQL_MAIN": "5432",
		"DATA_BASE_PORT": "tcp://10.96.0.9:5432", "DATA_BASE_PORT_5432_TCP": "tcp://10.96.0.9:5432",
		"DATA_BASE_PORT_5432_TCP_PROTO": "tcp", "DATA_BASE_PORT_5432_TCP_PORT": "5432", "DATA_BASE_PORT_5432_TCP_ADDR": "10.96.0.9",
	}
	for k, v := range api {
		linked[k] = v
	}
	pod := podOf(corev1.RestartPolicyAlways, "a")
	pod.Namespace = "shop"
	if d := cmp.Diff(linked, serviceEnv(pod, all)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	no := false
	pod.Spec.EnableServiceLinks = &no
	if d := cmp.Diff(api, serviceEnv(pod, all)); d != "" {
		t.Errorf("without links (-want +got):\n%s", d)
	}
}

func TestPodResolver(t *testing.T) {
	host := parseResolver("# a comment\nsearch example.com\nnameserver 192.0.2.53\noptions edns0\n")
	dns := []netip.Addr{netip.MustParseAddr("10.96.0.10")}
	two := "2"
	for _, tc := range []struct {
		name string
		then func(*corev1.PodSpec)
		dns  []netip.Addr
		want string
	}{
		{"cluster first", func(s *corev1.PodSpec) {}, dns, "search default.svc.cluster.local svc.cluster.local cluster.local example.com\nnameserver 10.96.0.10\noptions ndots:5\n"},
		{"without cluster DNS", func(s *corev1.PodSpec) {}, nil, "search example.com\nnameserver 192.0.2.53\noptions edns0\n"},
		{"default", func(s *corev1.PodSpec) { s.DNSPolicy = corev1.DNSDefault }, dns, "search example.com\nnameserver 192.0.2.53\noptions edns0\n"},
		{"host network", func(s *corev1.PodSpec) { s.HostNetwork = true }, dns, "search example.com\nnameserver 192.0.2.53\noptions edns0\n"},
		{"none", func(s *corev1.PodSpec) {
			s.DNSPolicy = corev1.DNSNone
			s.DNSConfig = &corev1.PodDNSConfig{Nameservers: []string{"192.0.2.1"}}
		}, dns, "nameserver 192.0.2.1\n"},
		{"own options win", func(s *corev1.PodSpec) {
			s.DNSConfig = &corev1.PodDNSConfig{Searches: []string{"svc.cluster.local", "mine"}, Options: []corev1.PodDNSConfigOption{{Name: "ndots", Value: &two}}}
		}, dns, "search default.svc.cluster.local svc.cluster.local cluster.local example.com mine\nnameserver 10.96.0.10\noptions ndots:2\n"},
	} {
		pod := podOf(corev1.RestartPolicyAlways, "a")
		pod.Spec.DNSPolicy = corev1.DNSClusterFirst
		tc.then(&pod.Spec)
		if d := cmp.Diff(tc.want, podResolver(pod, host, tc.dns, "cluster.local").String()); d != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, d)
		}
	}
}

func TestHostsFile(t *testing.T) {
	own := "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\n" +
		"fe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n"
	alias := []corev1.HostAlias{{IP: "192.0.2.7", Hostnames: []string{"friend", "mate"}}}
	for _, tc := range []struct {
		name string
		then func(*corev1.PodSpec)
		want string
	}{
		{"plain", func(s *corev1.PodSpec) {}, "# Kubernetes-managed hosts file.\n" + own + "10.0.0.5\tweb\n"},
		{"with a subdomain", func(s *corev1.PodSpec) { s.Subdomain = "sub" }, "# Kubernetes-managed hosts file.\n" + own + "10.0.0.5\tweb.sub.default.svc.cluster.local\tweb\n"},
		{"with aliases", func(s *corev1.PodSpec) { s.HostAliases = alias },
			"# Kubernetes-managed hosts file.\n" + own + "10.0.0.5\tweb\n\n# Entries added by HostAliases.\n192.0.2.7\tfriend\tmate\n"},
		{"host network", func(s *corev1.PodSpec) { s.HostNetwork = true }, "# Kubernetes-managed hosts file (host network).\n127.0.0.1 node\n\n"},
		{"host network with aliases", func(s *corev1.PodSpec) { s.HostNetwork, s.HostAliases = true, alias },
			"# Kubernetes-managed hosts file (host network).\n127.0.0.1 node\n\n\n# Entries added by HostAliases.\n192.0.2.7\tfriend\tmate\n"},
	} {
		pod := podOf(corev1.RestartPolicyAlways, "a")
		tc.then(&pod.Spec)
		if d := cmp.Diff(tc.want, hostsText(pod, netip.MustParseAddr("10.0.0.5"), "127.0.0.1 node\n\n", "cluster.local")); d != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, d)
		}
	}
}

func TestParseImage(t *testing.T) {
	for in, want := range map[string]string{
		"nginx": "nginx:latest", "nginx:1": "nginx:1", "docker.io/library/nginx": "nginx:latest", "r.example.com:5000/a/b": "r.example.com:5000/a/b:latest",
	} {
		if got, err := parseImage(in); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", "Nginx", "a b", "x:", "../x"} {
		if got, err := parseImage(in); err == nil {
			t.Errorf("%q: %q, want an error", in, got)
		}
	}
}

func TestHostPortConflicts(t *testing.T) {
	with := func(ip string, port int32) *corev1.Pod {
		p := podOf(corev1.RestartPolicyAlways, "a")
		p.Spec.Containers[0].Ports = []corev1.ContainerPort{{HostPort: port, HostIP: ip, Protocol: corev1.ProtocolTCP}}
		return p
	}
	for _, tc := range []struct {
		name string
		a, b *corev1.Pod
		want string
	}{
		{"other ports", with("", 80), with("", 81), ""},
		{"same port", with("", 80), with("", 80), "80/TCP"},
		{"other addresses", with("192.0.2.1", 80), with("192.0.2.2", 80), ""},
		{"one on all", with("192.0.2.1", 80), with("0.0.0.0", 80), "80/TCP"},
		{"no host port", with("", 0), with("", 0), ""},
	} {
		if got := hostPortTaken(tc.a, []*corev1.Pod{tc.b}); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}
