package core

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"gantry/schema/internal/check"
)

// validatePodStatus checks a status that replaces old's.
func validatePodStatus(pod, old *corev1.Pod) field.ErrorList {
	c := &podCheck{spec: &pod.Spec, meta: &pod.ObjectMeta}
	c.checkAnnotationUpdate(pod, old)
	c.podAnnotations(pod.Annotations, field.NewPath("metadata", "annotations"))
	p, s, was := field.NewPath("status"), &pod.Status, &old.Status
	c.checkConditions(s.Conditions, p.Child("conditions"))
	if pod.Spec.NodeName != old.Spec.NodeName {
		c.Forbidden(p.Child("nodeName"), "may not be changed directly")
	}
	if n := s.NominatedNodeName; n != "" && n != was.NominatedNodeName {
		c.Subdomain(p.Child("nominatedNodeName"), n)
		if old.Spec.NodeName != "" {
			c.Forbidden(p.Child("nominatedNodeName"), "may not be set on pods that are already bound to a node")
		}
	}
	if s.ObservedGeneration < 0 {
		c.Invalid(p.Child("observedGeneration"), s.ObservedGeneration, "must be a non-negative integer")
	}
	c.Same(p.Child("qosClass"), s.QOSClass, was.QOSClass)
	spec := &old.Spec
	if !mayRestartAll(spec) {
		c.checkEnded(s.ContainerStatuses, was.ContainerStatuses, spec, spec.Containers, p.Child("containerStatuses"))
		c.checkEnded(s.InitContainerStatuses, was.InitContainerStatuses, spec, spec.InitContainers, p.Child("initContainerStatuses"))
	}
	c.checkEnded(s.EphemeralContainerStatuses, was.EphemeralContainerStatuses, spec, nil, p.Child("ephemeralContainerStatuses"))
	c.checkClaimStatuses(s.ResourceClaimStatuses, p.Child("resourceClaimStatuses"))
	c.checkExtendedClaim(s.ExtendedResourceClaimStatus, p.Child("extendedResourceClaimStatus"))
	c.checkAddresses(s, was, p)
	c.checkContainerUsers(s, p)
	return c.List
}

func (c *podCheck) checkConditions(list []corev1.PodCondition, p *field.Path) {
	for i, cond := range list {
		if cond.ObservedGeneration < 0 {
			c.Invalid(p.Index(i).Child("observedGeneration"), cond.ObservedGeneration, "must be a non-negative integer")
		}
		switch cond.Type {
		case corev1.PodScheduled, corev1.PodReady, corev1.PodInitialized:
		default:
			c.Qualified(p.Index(i).Child("Type"), string(cond.Type))
		}
	}
}

// checkEnded checks that a container that has ended for good does not run again.
func (c *podCheck) checkEnded(list, old []corev1.ContainerStatus, spec *corev1.PodSpec, containers []corev1.Container, p *field.Path) {
	if !slices.ContainsFunc(old, func(s corev1.ContainerStatus) bool { return s.State.Terminated != nil }) {
		return
	}
	running, byName := map[string]bool{}, make(map[string]*corev1.Container, len(containers))
	for i := range list {
		if list[i].State.Terminated == nil {
			running[list[i].Name] = true
		}
	}
	for i := len(containers) - 1; i >= 0; i-- { // the first of a name counts
		byName[containers[i].Name] = &containers[i]
	}
	for i := range old {
		ended := old[i].State.Terminated
		if ended == nil {
			continue
		}
		if !running[old[i].Name] {
			continue
		}
		if ctr := byName[old[i].Name]; ctr == nil || !restarts(ctr, spec.RestartPolicy, ended.ExitCode) {
			c.Forbidden(p.Index(i).Child("state"), "may not be transitioned to non-terminated state")
		}
	}
}

// restarts tells whether a container that ended with code is started again: by the first of its rules that is met, by
// its own policy, else by the pod's.
func restarts(ctr *corev1.Container, policy corev1.RestartPolicy, code int32) bool {
	if ctr.RestartPolicy != nil {
		for _, rule := range ctr.RestartPolicyRules {
			if rule.ExitCodes == nil {
				continue
			}
			listed := slices.Contains(rule.ExitCodes.Values, code)
			if listed == (rule.ExitCodes.Operator == corev1.ContainerRestartRuleOnExitCodesOpIn) {
				return true
			}
		}
		policy = corev1.RestartPolicy(*ctr.RestartPolicy)
	}
	switch policy {
	case corev1.RestartPolicyNever:
		return false
	case corev1.RestartPolicyOnFailure:
		return code != 0
	}
	return true
}

// mayRestartAll tells whether the end of one container can start all again.
func mayRestartAll(spec *corev1.PodSpec) bool {
	all := func(ctr corev1.Container) bool {
		return slices.ContainsFunc(ctr.RestartPolicyRules, func(r corev1.ContainerRestartRule) bool {
			return r.Action == corev1.ContainerRestartRuleActionRestartAllContainers
		})
	}
	return slices.ContainsFunc(spec.Containers, all) || slices.ContainsFunc(spec.InitContainers, all)
}

func (c *podCheck) checkClaimStatuses(list []corev1.PodResourceClaimStatus, p *field.Path) {
	seen, claims := map[string]bool{}, make(map[string]bool, len(c.spec.ResourceClaims))
	for i := range c.spec.ResourceClaims {
		claims[c.spec.ResourceClaims[i].Name] = true
	}
	for i, s := range list {
		at := p.Index(i).Child("name")
		if !claims[s.Name] {
			c.Invalid(at, s.Name, "must match the name of an entry in `spec.resourceClaims`")
		}
		if seen[s.Name] {
			c.Duplicate(at, s.Name)
		}
		seen[s.Name] = true
		if s.ResourceClaimName != nil {
			c.Subdomain(p.Index(i).Child("resourceClaimName"), *s.ResourceClaimName)
		}
	}
}

// checkExtendedClaim checks that the claim for extended resources names requests of the pod's containers, each once.
func (c *podCheck) checkExtendedClaim(s *corev1.PodExtendedResourceClaimStatus, p *field.Path) {
	if s == nil {
		return
	}
	requests := map[string]corev1.ResourceList{}
	for _, list := range [][]corev1.Container{c.spec.InitContainers, c.spec.Containers} {
		for i := range list {
			requests[list[i].Name] = list[i].Resources.Requests
		}
	}
	if len(s.RequestMappings) == 0 {
		c.Required(p.Child("requestMappings"), "at least one request mapping is required")
	}
	seen := map[corev1.ContainerExtendedResourceRequest]bool{}
	for i, m := range s.RequestMappings {
		at := p.Child("requestMappings").Index(i)
		of, there := requests[m.ContainerName]
		if _, asked := of[corev1.ResourceName(m.ResourceName)]; !there {
			c.Invalid(at.Child("containerName"), m.ContainerName, "must match the name of an entry in spec.initContainers.name or spec.containers.name")
		} else if !asked {
			c.Invalid(at.Child("resourceName"), m.ResourceName, "must match the extended resource name of an entry in spec.initContainers.resources.requests or spec.containers.resources.requests")
		}
		c.Label(p.Child("requestName"), m.RequestName) // without the index, as Kubernetes
		if seen[m] {
			c.Duplicate(at.Child("containerName"), m.ContainerName)
			c.Duplicate(at.Child("resourceName"), m.ResourceName)
			c.Duplicate(at.Child("requestName"), m.RequestName)
		}
		seen[m] = true
	}
	if s.ResourceClaimName == "" {
		c.Required(p.Child("resourceClaimName"), "")
	} else {
		c.Subdomain(p.Child("resourceClaimName"), s.ResourceClaimName)
	}
}

// checkAddresses checks podIPs and hostIPs: at most one of each family, and hostIP the first.
func (c *podCheck) checkAddresses(s, old *corev1.PodStatus, p *field.Path) {
	var ips, hosts []string
	known := check.KnownOf(old.PodIPs, func(ip corev1.PodIP) string { return ip.IP })
	knownHosts := check.KnownOf(old.HostIPs, func(ip corev1.HostIP) string { return ip.IP })
	list := p.Child("podIPs")
	for i, ip := range s.PodIPs {
		ips = append(ips, ip.IP)
		c.IPOrKnown(list.Index(i), ip.IP, known)
	}
	c.checkFamilies(ips, s.PodIPs, list)
	list = p.Child("hostIPs")
	if len(s.HostIPs) > 0 && s.HostIP != s.HostIPs[0].IP {
		c.Invalid(list.Index(0).Child("ip"), s.HostIPs[0].IP, "must be equal to `hostIP`")
	}
	for i, ip := range s.HostIPs {
		hosts = append(hosts, ip.IP)
		c.IPOrKnown(list.Index(i), ip.IP, knownHosts)
	}
	c.checkFamilies(hosts, s.HostIPs, list)
}

func (c *podCheck) checkFamilies(ips []string, value any, p *field.Path) {
	if len(ips) < 2 {
		return
	}
	dual, err := netutils.IsDualStackIPStrings(ips)
	if err != nil {
		c.Add(field.InternalError(p, fmt.Errorf("failed to check for dual stack with error:%v", err)))
	}
	if !dual || len(ips) > 2 {
		c.Invalid(p, value, "may specify no more than one IP for each IP family")
	}
}

func (c *podCheck) checkContainerUsers(s *corev1.PodStatus, p *field.Path) {
	for _, l := range []struct {
		name string
		list []corev1.ContainerStatus
	}{
		{"containerStatuses", s.ContainerStatuses}, {"initContainerStatuses", s.InitContainerStatuses}, {"ephemeralContainerStatuses", s.EphemeralContainerStatuses},
	} {
		for i := range l.list {
			u := l.list[i].User
			if u == nil || u.Linux == nil {
				continue
			}
			at := p.Child(l.name).Index(i).Child("user", "linux")
			if c.spec.OS != nil && c.spec.OS.Name == corev1.Windows {
				c.Forbidden(at, "cannot be set for a windows pod")
				continue
			}
			c.checkUser(&u.Linux.UID, at.Child("uid"))
			c.checkGroup(&u.Linux.GID, at.Child("gid"))
			for g := range u.Linux.SupplementalGroups {
				c.checkGroup(&u.Linux.SupplementalGroups[g], at.Child("supplementalGroups").Index(g))
			}
		}
	}
}
