package discovery

import (
	"cmp"
	"slices"
	"strings"
)

// groupOrder are the groups of built-in kinds in Kubernetes' order. It decides what an unqualified name means where several groups have it.
var groupOrder = []string{
	"", "apiregistration.k8s.io", "apps", "events.k8s.io", "authentication.k8s.io", "authorization.k8s.io", "autoscaling", "batch",
	"certificates.k8s.io", "networking.k8s.io", "policy", "rbac.authorization.k8s.io", "storage.k8s.io", "admissionregistration.k8s.io",
	"apiextensions.k8s.io", "scheduling.k8s.io", "coordination.k8s.io", "node.k8s.io", "discovery.k8s.io", "resource.k8s.io",
	"flowcontrol.apiserver.k8s.io",
}

// compareGroups orders groups as groupOrder does; all others follow, by their priority and name.
func (d *Documents) compareGroups(a, b group) int {
	place := func(name string) int {
		if i := slices.Index(groupOrder, name); i >= 0 {
			return i
		}
		return len(groupOrder)
	}
	if c := place(a.name) - place(b.name); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(d.groupPriority(b), d.groupPriority(a)), strings.Compare(a.name, b.name))
}
