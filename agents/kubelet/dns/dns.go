// Package dns makes what a pod's containers know of names: its hostname, /etc/hosts and /etc/resolv.conf. It is pure.
package dns

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Resolver is the content of a resolv.conf.
type Resolver struct{ servers, searches, options []string }

// ParseResolver reads a resolv.conf; lines it does not know are left out.
func ParseResolver(text string) Resolver {
	var r Resolver
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 || strings.HasPrefix(f[0], "#") || strings.HasPrefix(f[0], ";") {
			continue
		}
		switch f[0] {
		case "nameserver":
			r.servers = append(r.servers, f[1])
		case "search":
			r.searches = f[1:] // the last one counts
		case "options":
			r.options = append(r.options, f[1:]...)
		}
	}
	return r
}

// OnLoopback tells whether only this host's own Resolver is named, which a pod cannot reach.
func (r Resolver) OnLoopback() bool {
	for _, s := range r.servers {
		if a, err := netip.ParseAddr(s); err != nil || !a.IsLoopback() {
			return false
		}
	}
	return len(r.servers) > 0
}

// PodResolver is what a pod's resolv.conf says: host is the node's own.
func PodResolver(pod *corev1.Pod, host Resolver, clusterDNS []netip.Addr, domain string) Resolver {
	var r Resolver
	policy := pod.Spec.DNSPolicy
	if policy == corev1.DNSClusterFirst && pod.Spec.HostNetwork || len(clusterDNS) == 0 && policy != corev1.DNSNone {
		policy = corev1.DNSDefault
	}
	switch policy {
	case corev1.DNSNone:
	case corev1.DNSDefault:
		r = host
	default:
		for _, a := range clusterDNS {
			r.servers = append(r.servers, a.String())
		}
		r.searches = append([]string{pod.Namespace + ".svc." + domain, "svc." + domain, domain}, host.searches...)
		r.options = []string{"ndots:5"}
	}
	if c := pod.Spec.DNSConfig; c != nil {
		r = r.with(c)
	}
	return r
}

// with adds a pod's dnsConfig: its options replace those of the same name.
func (r Resolver) with(c *corev1.PodDNSConfig) Resolver {
	r.servers = distinct(slices.Concat(r.servers, c.Nameservers))
	r.searches = distinct(slices.Concat(r.searches, c.Searches))
	options := slices.Clone(r.options)
	for _, o := range c.Options {
		options = slices.DeleteFunc(options, func(have string) bool {
			name, _, _ := strings.Cut(have, ":")
			return name == o.Name
		})
		text := o.Name
		if o.Value != nil && *o.Value != "" {
			text += ":" + *o.Value
		}
		options = append(options, text)
	}
	r.options = options
	return r
}

func distinct(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func (r Resolver) String() string {
	var b strings.Builder
	if len(r.searches) > 0 {
		fmt.Fprintf(&b, "search %s\n", strings.Join(r.searches, " "))
	}
	for _, s := range r.servers {
		fmt.Fprintf(&b, "nameserver %s\n", s)
	}
	if len(r.options) > 0 {
		fmt.Fprintf(&b, "options %s\n", strings.Join(r.options, " "))
	}
	return b.String()
}

// The first lines of a pod's /etc/hosts, as kubelets write them: tools tell by them whose file it is.
const (
	hostsHeader     = "# Kubernetes-managed hosts file.\n"
	hostsHeaderHost = "# Kubernetes-managed hosts file (host network).\n"
)

// HostsFile is a pod's /etc/hosts; nodeHosts is the node's own, for pods in its network.
func HostsFile(pod *corev1.Pod, podIP netip.Addr, nodeHosts, domain string) string {
	var b strings.Builder
	if pod.Spec.HostNetwork {
		b.WriteString(hostsHeaderHost + nodeHosts)
	} else {
		b.WriteString(hostsHeader + "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n" +
			"fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n")
		if podIP.IsValid() {
			names := Hostname(pod)
			if d := podDomain(pod); d != "" {
				names = fmt.Sprintf("%s.%s.%s\t%s", names, d, domain, names)
			}
			fmt.Fprintf(&b, "%s\t%s\n", podIP, names)
		}
	}
	if len(pod.Spec.HostAliases) > 0 {
		b.WriteString("\n# Entries added by HostAliases.\n")
		for _, a := range pod.Spec.HostAliases {
			fmt.Fprintf(&b, "%s\t%s\n", a.IP, strings.Join(a.Hostnames, "\t"))
		}
	}
	return b.String()
}
