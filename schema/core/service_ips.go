package core

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"gantry/schema/internal/check"
)

// ValidateClusterIPs checks the addresses and families of a Service alone, except of one that needs none. old is nil where it is new.
func ValidateClusterIPs(spec, old *corev1.ServiceSpec) field.ErrorList {
	if !needsClusterIP(spec) {
		return nil
	}
	c := &serviceCheck{spec: spec, old: old}
	c.checkClusterIPs(field.NewPath("spec"))
	return c.List
}

// checkClusterIPs checks clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy against each other.
func (c *serviceCheck) checkClusterIPs(p *field.Path) {
	s, list := c.spec, p.Child("clusterIPs")
	switch {
	case s.ClusterIP == "" && len(s.ClusterIPs) > 0:
		c.Invalid(list, s.ClusterIPs, "must be empty when `clusterIP` is not specified")
	case s.ClusterIP != "" && len(s.ClusterIPs) == 0:
		c.Required(list, "")
	case s.ClusterIP != "" && s.ClusterIPs[0] != s.ClusterIP:
		c.Invalid(list, s.ClusterIPs, "first value must match `clusterIP`")
	}
	c.checkFamilies(p)
	if !c.validIPs(list) {
		return
	}
	if len(s.ClusterIPs) > 1 {
		dual, err := netutils.IsDualStackIPStrings(s.ClusterIPs)
		if err != nil {
			c.Add(field.InternalError(list, fmt.Errorf("failed to check for dual stack with error:%v", err)))
		}
		if !dual {
			c.Invalid(list, s.ClusterIPs, "may specify no more than one IP for each IP family")
		}
	}
	if isHeadless(s) {
		return
	}
	for i, ip := range s.ClusterIPs[:min(len(s.ClusterIPs), len(s.IPFamilies))] {
		if six := netutils.IsIPv6String(ip); six && s.IPFamilies[i] == corev1.IPv4Protocol || !six && s.IPFamilies[i] == corev1.IPv6Protocol {
			c.Invalid(list.Index(i), ip, fmt.Sprintf("expected an %s value as indicated by `ipFamilies[%v]`", s.IPFamilies[i], i))
		}
	}
}

func (c *serviceCheck) checkFamilies(p *field.Path) {
	list, seen := p.Child("ipFamilies"), map[corev1.IPFamily]bool{}
	for i, family := range c.spec.IPFamilies {
		check.OneOf(&c.Errors, list.Index(i), family, corev1.IPv4Protocol, corev1.IPv6Protocol)
		if seen[family] {
			c.Duplicate(list.Index(i), family)
		}
		seen[family] = true
	}
	if policy := c.spec.IPFamilyPolicy; policy != nil {
		check.OneOf(&c.Errors, p.Child("ipFamilyPolicy"), *policy, corev1.IPFamilyPolicyPreferDualStack, corev1.IPFamilyPolicyRequireDualStack, corev1.IPFamilyPolicySingleStack)
	}
}

// validIPs is false where an address does not parse: then nothing is compared.
func (c *serviceCheck) validIPs(list *field.Path) bool {
	var known check.Known
	if c.old != nil {
		known = check.KnownOf(c.old.ClusterIPs, itself)
	}
	valid := true
	for i, ip := range c.spec.ClusterIPs {
		if i == 0 && ip == corev1.ClusterIPNone {
			if len(c.spec.ClusterIPs) > 1 {
				c.Invalid(list, c.spec.ClusterIPs, "'None' must be the first and only value")
				valid = false
			}
			continue
		}
		before := c.Count()
		c.IPOrKnown(list.Index(i), ip, known)
		valid = valid && c.Count() == before
	}
	if len(c.spec.ClusterIPs) > 2 {
		c.Invalid(list, c.spec.ClusterIPs, "may only hold up to 2 values")
	}
	return valid
}

// keepsClusterIPs checks that the first address stays for good; a second one may come and go with its family.
func (c *serviceCheck) keepsClusterIPs() {
	s, old := c.spec, c.old
	if !needsClusterIP(s) || !needsClusterIP(old) || isHeadless(s) && isHeadless(old) {
		return
	}
	is, was := s.ClusterIPs, old.ClusterIPs
	p := field.NewPath("spec")
	at := p.Child("clusterIPs")
	if len(is) == len(was) {
		for i := range was {
			if is[i] != was[i] {
				c.Invalid(at.Index(i), is, "may not change once set")
			}
		}
		return
	}
	if len(is) == 0 {
		c.Invalid(at.Index(0), is, "primary clusterIP can not be unset")
	} else if len(was) > 0 && is[0] != was[0] {
		c.Invalid(at.Index(0), is, "may not change once set")
	}
	if len(is) == 1 && len(was) > 1 {
		c.needsSingleStack(p, "clusterIP")
	}
}

func (c *serviceCheck) needsSingleStack(p *field.Path, released string) {
	if policy := c.spec.IPFamilyPolicy; policy == nil || *policy != corev1.IPFamilyPolicySingleStack {
		c.Invalid(p.Child("ipFamilyPolicy"), policy, fmt.Sprintf("must be set to 'SingleStack' when releasing the secondary %s", released))
	}
}

func (c *serviceCheck) keepsFamilies() {
	s, old := c.spec, c.old
	if !needsClusterIP(s) || !needsClusterIP(old) || isHeadless(s) || isHeadless(old) {
		return
	}
	is, was := s.IPFamilies, old.IPFamilies
	p := field.NewPath("spec")
	at := p.Child("ipFamilies").Index(0)
	if len(is) == len(was) {
		for i := range was {
			if is[i] != was[i] {
				c.Invalid(at, is, "may not change once set")
			}
		}
		return
	}
	if len(was) > len(is) && len(s.ClusterIPs) == 0 {
		c.Invalid(at, is, "primary ipFamily can not be unset")
	}
	if len(is) > 0 && len(was) > 0 && is[0] != was[0] {
		c.Invalid(at, s.ClusterIPs, "may not change once set")
	}
	if len(is) == 1 && len(was) > 1 {
		c.needsSingleStack(p, "ipFamily")
	}
}

func serviceWarnings(svc, _ *corev1.Service) (w []string) {
	s, p := &svc.Spec, field.NewPath("spec")
	if _, ok := svc.Annotations[corev1.DeprecatedAnnotationTopologyAwareHints]; ok {
		w = append(w, fmt.Sprintf("annotation %s is deprecated, please use %s instead", corev1.DeprecatedAnnotationTopologyAwareHints, corev1.AnnotationTopologyMode))
	}
	if s.ClusterIP != "" && s.ClusterIP != corev1.ClusterIPNone {
		for i, ip := range s.ClusterIPs {
			w = append(w, check.WarnIP(p.Child("clusterIPs").Index(i), ip)...)
		}
	}
	headless := s.Type == corev1.ServiceTypeClusterIP && s.ClusterIP == corev1.ClusterIPNone
	external := s.Type == corev1.ServiceTypeExternalName
	say := func(when bool, format string, args ...any) {
		if when {
			w = append(w, fmt.Sprintf(format, args...))
		}
	}
	say(headless && s.LoadBalancerIP != "", "spec.loadBalancerIP is ignored for headless services")
	say(headless && len(s.ExternalIPs) > 0, "spec.externalIPs is ignored for headless services")
	say(headless && s.SessionAffinity != corev1.ServiceAffinityNone, "spec.SessionAffinity is ignored for headless services")
	for i, ip := range s.ExternalIPs {
		w = append(w, check.WarnIP(p.Child("externalIPs").Index(i), ip)...)
	}
	say(len(s.ExternalIPs) > 0 && !headless && !external, "spec.externalIPs is deprecated and may no longer be implemented in some clusters")
	if s.LoadBalancerIP != "" {
		w = append(w, check.WarnIP(p.Child("loadBalancerIP"), s.LoadBalancerIP)...)
	}
	for i, r := range s.LoadBalancerSourceRanges {
		w = append(w, check.WarnCIDR(p.Child("loadBalancerSourceRanges").Index(i), r)...)
	}
	say(external && len(s.ExternalIPs) > 0, "spec.externalIPs is ignored when spec.type is %q", corev1.ServiceTypeExternalName)
	say(!external && s.ExternalName != "", "spec.externalName is ignored when spec.type is not %q", corev1.ServiceTypeExternalName)
	say(s.TrafficDistribution != nil && *s.TrafficDistribution == corev1.ServiceTrafficDistributionPreferClose,
		"spec.trafficDistribution: %q is deprecated; use %q", corev1.ServiceTrafficDistributionPreferClose, corev1.ServiceTrafficDistributionPreferSameZone)
	return w
}
