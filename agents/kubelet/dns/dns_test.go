package dns

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/internal/resolvconf"
)

func webPod() *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}}
}

func TestPodResolver(t *testing.T) {
	host := resolvconf.Parse("# a comment\nsearch example.com\nnameserver 192.0.2.53\noptions edns0\n")
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
		{"cluster first with host network", func(s *corev1.PodSpec) { s.HostNetwork, s.DNSPolicy = true, corev1.DNSClusterFirstWithHostNet }, dns,
			"search default.svc.cluster.local svc.cluster.local cluster.local example.com\nnameserver 10.96.0.10\noptions ndots:5\n"},
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
		r, warnings := PodResolver(pod, host, tc.dns, "cluster.local")
		if d := cmp.Diff(tc.want, r.String()); d != "" || len(warnings) > 0 {
			t.Errorf("%s: warnings %q (-want +got):\n%s", tc.name, warnings, d)
		}
	}
}

func TestPodResolverLimits(t *testing.T) {
	pod := webPod()
	pod.Spec.DNSPolicy = corev1.DNSNone
	pod.Spec.DNSConfig = &corev1.PodDNSConfig{Nameservers: []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"}, Searches: []string{strings.Repeat("a", 254)}}
	for i := range 40 {
		pod.Spec.DNSConfig.Searches = append(pod.Spec.DNSConfig.Searches, fmt.Sprintf("%02d.%s", i, strings.Repeat("x", 97))) // 100 bytes
	}
	r, warnings := PodResolver(pod, resolvconf.File{}, nil, "cluster.local")
	if len(r.Servers) != 3 || len(r.Searches) != 20 || r.Searches[0][:2] != "00" {
		t.Errorf("got %d servers, %d searches: %q", len(r.Servers), len(r.Searches), r)
	}
	if len(warnings) != 2 || warnings[0] != "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: 192.0.2.1 192.0.2.2 192.0.2.3" ||
		!strings.HasPrefix(warnings[1], "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: 00.x") {
		t.Errorf("warnings %q", warnings)
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
		{"plain", func(s *corev1.PodSpec) {}, "# Kubernetes-managed hosts file.\n" + own + "10.0.0.5\tweb\nfd00::5\tweb\n"},
		{"with a subdomain", func(s *corev1.PodSpec) { s.Subdomain = "sub" }, "# Kubernetes-managed hosts file.\n" + own + "10.0.0.5\tweb.sub.default.svc.cluster.local\tweb\nfd00::5\tweb.sub.default.svc.cluster.local\tweb\n"},
		{"with aliases", func(s *corev1.PodSpec) { s.HostAliases = alias },
			"# Kubernetes-managed hosts file.\n" + own + "10.0.0.5\tweb\nfd00::5\tweb\n\n# Entries added by HostAliases.\n192.0.2.7\tfriend\tmate\n"},
		{"host network", func(s *corev1.PodSpec) { s.HostNetwork = true }, "# Kubernetes-managed hosts file (host network).\n127.0.0.1 node\n\n"},
		{"host network with aliases", func(s *corev1.PodSpec) { s.HostNetwork, s.HostAliases = true, alias },
			"# Kubernetes-managed hosts file (host network).\n127.0.0.1 node\n\n\n# Entries added by HostAliases.\n192.0.2.7\tfriend\tmate\n"},
	} {
		pod := webPod()
		tc.then(&pod.Spec)
		if d := cmp.Diff(tc.want, HostsFile(pod, []netip.Addr{netip.MustParseAddr("10.0.0.5"), netip.MustParseAddr("fd00::5")}, "127.0.0.1 node\n\n", "cluster.local")); d != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, d)
		}
	}
}
