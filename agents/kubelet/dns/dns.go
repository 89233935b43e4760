// Package dns makes what a pod's containers know of names: its hostname, /etc/hosts and /etc/resolv.conf. It is pure.
package dns

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/internal/resolvconf"
)

// Limits of a pod's resolv.conf, by upstream's API and glibc.
const (
	maxServers     = 3
	maxSearches    = 32
	maxSearchChars = 2048 // of the line, without "search "
	maxSearch      = 253  // of one domain: longer ones abort some versions of glibc
)

// PodResolver is what a pod's resolv.conf says: host is the node's own. warnings are what was left out, as texts of events DNSConfigForming.
func PodResolver(pod *corev1.Pod, host resolvconf.File, clusterDNS []netip.Addr, domain string) (r resolvconf.File, warnings []string) {
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
			r.Servers = append(r.Servers, a.String())
		}
		r.Searches = distinct(append([]string{pod.Namespace + ".svc." + domain, "svc." + domain, domain}, host.Searches...))
		r.Options = []string{"ndots:5"}
	}
	if c := pod.Spec.DNSConfig; c != nil {
		r = merge(r, c)
	}
	return limit(r)
}

// NeedsClusterDNS tells whether a pod asks for the cluster's name server.
func NeedsClusterDNS(pod *corev1.Pod) bool {
	return pod.Spec.DNSPolicy == corev1.DNSClusterFirstWithHostNet || pod.Spec.DNSPolicy == corev1.DNSClusterFirst && !pod.Spec.HostNetwork
}

// limit leaves out what is beyond the limits.
func limit(r resolvconf.File) (resolvconf.File, []string) {
	var warnings []string
	if len(r.Servers) > maxServers {
		r.Servers = r.Servers[:maxServers]
		warnings = append(warnings, "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: "+strings.Join(r.Servers, " "))
	}
	searches := slices.DeleteFunc(slices.Clone(r.Searches[:min(len(r.Searches), maxSearches)]), func(s string) bool { return len(s) > maxSearch })
	for len(strings.Join(searches, " ")) > maxSearchChars {
		searches = searches[:len(searches)-1]
	}
	if len(searches) < len(r.Searches) {
		warnings = append(warnings, "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: "+strings.Join(searches, " "))
	}
	r.Searches = searches
	return r, warnings
}

// merge adds a pod's dnsConfig: its options replace those of the same name.
func merge(r resolvconf.File, c *corev1.PodDNSConfig) resolvconf.File {
	r.Servers = distinct(slices.Concat(r.Servers, c.Nameservers))
	r.Searches = distinct(slices.Concat(r.Searches, c.Searches))
	options := slices.Clone(r.Options)
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
	r.Options = options
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

// The first lines of a pod's /etc/hosts, as kubelets write them: tools tell by them whose file it is.
const (
	hostsHeader     = "# Kubernetes-managed hosts file.\n"
	hostsHeaderHost = "# Kubernetes-managed hosts file (host network).\n"
)

// HostsFile is a pod's /etc/hosts; nodeHosts is the node's own, for pods in its network.
func HostsFile(pod *corev1.Pod, podIPs []netip.Addr, nodeHosts, domain string) string {
	var b strings.Builder
	if pod.Spec.HostNetwork {
		b.WriteString(hostsHeaderHost + nodeHosts)
	} else {
		b.WriteString(hostsHeader + "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n" +
			"fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n")
		names := Hostname(pod)
		if d := podDomain(pod); d != "" {
			names = fmt.Sprintf("%s.%s.%s\t%s", names, d, domain, names)
		}
		for _, a := range podIPs {
			fmt.Fprintf(&b, "%s\t%s\n", a, names)
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
