package dns

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func webPod() *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}}
}

func TestPodResolver(t *testing.T) {
	host := ParseResolver("# a comment\nsearch example.com\nnameserver 192.0.2.53\noptions edns0\n")
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
		pod := webPod()
		pod.Spec.DNSPolicy = corev1.DNSClusterFirst
		tc.then(&pod.Spec)
		if d := cmp.Diff(tc.want, PodResolver(pod, host, tc.dns, "cluster.local").String()); d != "" {
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
		pod := webPod()
		tc.then(&pod.Spec)
		if d := cmp.Diff(tc.want, HostsFile(pod, netip.MustParseAddr("10.0.0.5"), "127.0.0.1 node\n\n", "cluster.local")); d != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, d)
		}
	}
}
