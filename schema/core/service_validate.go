package core

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"gantry/schema/internal/check"
)

// serviceCheck is one validation of a Service; old is nil on a create.
type serviceCheck struct {
	check.Errors
	spec, old   *corev1.ServiceSpec
	annotations map[string]string
	oldNotes    map[string]string
}

// validateService accepts a Service without allocated addresses and ports.
func validateService(svc *corev1.Service) field.ErrorList {
	c := &serviceCheck{spec: &svc.Spec, annotations: svc.Annotations}
	c.run()
	return c.List
}

func validateServiceUpdate(svc, old *corev1.Service) field.ErrorList {
	c := &serviceCheck{spec: &svc.Spec, old: &old.Spec, annotations: svc.Annotations, oldNotes: old.Annotations}
	c.keepsClusterIPs()
	c.keepsFamilies()
	p := field.NewPath("spec")
	if needsHealthPort(c.old) && needsHealthPort(c.spec) && c.old.HealthCheckNodePort != c.spec.HealthCheckNodePort {
		c.Forbidden(p.Child("healthCheckNodePort"), "field is immutable")
	}
	if both(c.old, c.spec, corev1.ServiceTypeLoadBalancer) {
		if a, b := c.old.LoadBalancerClass, c.spec.LoadBalancerClass; (a == nil) != (b == nil) || a != nil && *a != *b {
			c.Invalid(p.Child("loadBalancerClass"), b, "may not change once set")
		}
	}
	c.checkBalancerClass(p) // Kubernetes lists its errors twice
	c.run()
	return c.List
}

func both(a, b *corev1.ServiceSpec, t corev1.ServiceType) bool { return a.Type == t && b.Type == t }

func (c *serviceCheck) run() {
	p, s := field.NewPath("spec"), c.spec
	const hints, mode = corev1.DeprecatedAnnotationTopologyAwareHints, corev1.AnnotationTopologyMode
	if a, ok := c.annotations[mode]; ok {
		if b, ok := c.annotations[hints]; ok && a != b {
			c.Invalid(field.NewPath("metadata", "annotations").Key(mode), a, fmt.Sprintf("must match annotations[%s] when both are specified", hints))
		}
	}
	c.checkType(p)
	c.checkPorts(p.Child("ports"))
	if s.Selector != nil {
		c.Add(metavalidation.ValidateLabels(s.Selector, p.Child("selector"))...)
	}
	c.checkSession(p)
	if s.Type != corev1.ServiceTypeExternalName {
		c.checkClusterIPs(p)
	}
	c.checkExternalIPs(p.Child("externalIPs"))
	c.checkLoadBalancer(p)
	c.checkTraffic(p)
}

func (c *serviceCheck) checkType(p *field.Path) {
	s := c.spec
	if len(s.Ports) == 0 && !isHeadless(s) && s.Type != corev1.ServiceTypeExternalName {
		c.Required(p.Child("ports"), "")
	}
	switch s.Type {
	case corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort:
		if isHeadless(s) {
			c.Invalid(p.Child("clusterIPs").Index(0), s.ClusterIPs[0], fmt.Sprintf("may not be set to 'None' for %s services", s.Type))
		}
	case corev1.ServiceTypeExternalName:
		for _, f := range []struct {
			name string
			set  bool
		}{{"clusterIPs", len(s.ClusterIPs) > 0}, {"ipFamilies", len(s.IPFamilies) > 0}, {"ipFamilyPolicy", s.IPFamilyPolicy != nil}} {
			if f.set {
				c.Forbidden(p.Child(f.name), "may not be set for ExternalName services")
			}
		}
		if name := strings.TrimSuffix(s.ExternalName, "."); c.Set(p.Child("externalName"), name) {
			c.Subdomain(p.Child("externalName"), name)
		}
	}
	check.SetOneOf(&c.Errors, p.Child("type"), s.Type, corev1.ServiceTypeClusterIP, corev1.ServiceTypeExternalName, corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort)
}

func isHeadless(s *corev1.ServiceSpec) bool {
	return len(s.ClusterIPs) == 1 && s.ClusterIPs[0] == corev1.ClusterIPNone
}

// checkPorts checks each port, and that names, node ports and port numbers are given once.
func (c *serviceCheck) checkPorts(list *field.Path) {
	type number struct {
		protocol corev1.Protocol
		port     int32
	}
	names, nodePorts, ports := map[string]bool{}, map[number]bool{}, map[number]bool{}
	for i := range c.spec.Ports {
		port, p := &c.spec.Ports[i], list.Index(i)
		if len(c.spec.Ports) > 1 || port.Name != "" {
			if c.Set(p.Child("name"), port.Name) {
				c.Label(p.Child("name"), port.Name)
				if names[port.Name] {
					c.Duplicate(p.Child("name"), port.Name)
				}
				names[port.Name] = true
			}
		}
		c.Port(p.Child("port"), port.Port)
		checkProtocol(&c.Errors, port.Protocol, p.Child("protocol"))
		checkPortOrName(&c.Errors, port.TargetPort, p.Child("targetPort"))
		if port.AppProtocol != nil {
			c.Qualified(p.Child("appProtocol"), *port.AppProtocol)
		}
		if port.NodePort != 0 {
			if c.spec.Type == corev1.ServiceTypeClusterIP {
				c.Forbidden(p.Child("nodePort"), "may not be used when `type` is 'ClusterIP'")
			}
			key := number{port.Protocol, port.NodePort}
			if nodePorts[key] {
				c.Duplicate(p.Child("nodePort"), port.NodePort)
			}
			nodePorts[key] = true
		}
		key := number{port.Protocol, port.Port}
		if ports[key] {
			c.Duplicate(p, corev1.ServicePort{Protocol: port.Protocol, Port: port.Port})
		}
		ports[key] = true
	}
}

func (c *serviceCheck) checkSession(p *field.Path) {
	s := c.spec
	check.SetOneOf(&c.Errors, p.Child("sessionAffinity"), s.SessionAffinity, corev1.ServiceAffinityClientIP, corev1.ServiceAffinityNone)
	at := p.Child("sessionAffinityConfig")
	switch s.SessionAffinity {
	case corev1.ServiceAffinityNone:
		if s.SessionAffinityConfig != nil {
			c.Forbidden(at, "must not be set when session affinity is None")
		}
	case corev1.ServiceAffinityClientIP:
		const when, day = "when session affinity type is ClientIP", 86400
		switch cfg := s.SessionAffinityConfig; {
		case cfg == nil:
			c.Required(at, when)
		case cfg.ClientIP == nil:
			c.Required(at.Child("clientIP"), when)
		case cfg.ClientIP.TimeoutSeconds == nil:
			c.Required(at.Child("clientIP", "timeoutSeconds"), when)
		default:
			if t := *cfg.ClientIP.TimeoutSeconds; t <= 0 || t > day {
				c.Invalid(at.Child("clientIP", "timeoutSeconds"), t, fmt.Sprintf("must be greater than 0 and less than %d", day))
			}
		}
	}
}

func (c *serviceCheck) checkExternalIPs(list *field.Path) {
	var known check.Known
	if c.old != nil {
		known = check.KnownOf(c.old.ExternalIPs, itself)
	}
	for i, ip := range c.spec.ExternalIPs {
		before := c.Count()
		c.IPOrKnown(list.Index(i), ip, known)
		if c.Count() == before {
			c.EndpointIP(list.Index(i), ip)
		}
	}
}

func itself(text string) string { return text }

const onlyBalanced = "may only be used when `type` is 'LoadBalancer'"

func (c *serviceCheck) checkLoadBalancer(p *field.Path) {
	s := c.spec
	balanced := s.Type == corev1.ServiceTypeLoadBalancer
	c.checkSourceRanges(p, balanced, onlyBalanced)
	if s.AllocateLoadBalancerNodePorts != nil && !balanced {
		c.Forbidden(p.Child("allocateLoadBalancerNodePorts"), onlyBalanced)
	}
	if s.AllocateLoadBalancerNodePorts == nil && balanced {
		c.Required(field.NewPath("allocateLoadBalancerNodePorts"), "")
	}
	c.checkBalancerClass(p)
}

func (c *serviceCheck) checkBalancerClass(p *field.Path) {
	switch class := c.spec.LoadBalancerClass; {
	case class == nil:
	case c.spec.Type == corev1.ServiceTypeLoadBalancer:
		c.Qualified(p.Child("loadBalancerClass"), *class)
	default:
		c.Forbidden(p.Child("loadBalancerClass"), onlyBalanced)
	}
}

func (c *serviceCheck) checkSourceRanges(p *field.Path, balanced bool, only string) {
	const annotation = corev1.AnnotationLoadBalancerSourceRangesKey
	s := c.spec
	value, annotated := c.annotations[annotation]
	switch {
	case len(s.LoadBalancerSourceRanges) > 0:
		at := p.Child("LoadBalancerSourceRanges")
		if !balanced {
			c.Forbidden(at, only)
		}
		var known check.Known
		if c.old != nil {
			known = check.KnownOf(c.old.LoadBalancerSourceRanges, strings.TrimSpace)
		}
		for i, r := range s.LoadBalancerSourceRanges {
			c.CIDROrKnown(at.Index(i), strings.TrimSpace(r), known)
		}
	case annotated:
		at := field.NewPath("metadata", "annotations").Key(annotation)
		if !balanced {
			c.Forbidden(at, only)
		}
		if old, was := c.oldNotes[annotation]; was && old == value || strings.TrimSpace(value) == "" {
			return
		}
		for r := range strings.SplitSeq(strings.TrimSpace(value), ",") {
			c.CIDR(at, strings.TrimSpace(r))
		}
	}
}

func (c *serviceCheck) checkTraffic(p *field.Path) {
	s := c.spec
	at := p.Child("externalTrafficPolicy")
	if externallyAccessible(s) {
		check.SetOneOf(&c.Errors, at, s.ExternalTrafficPolicy, corev1.ServiceExternalTrafficPolicyCluster, corev1.ServiceExternalTrafficPolicyLocal)
	} else if s.ExternalTrafficPolicy != "" {
		c.Invalid(at, s.ExternalTrafficPolicy, "may only be set for externally-accessible services")
	}
	if health := p.Child("healthCheckNodePort"); s.HealthCheckNodePort != 0 {
		if needsHealthPort(s) {
			c.Port(health, s.HealthCheckNodePort)
		} else {
			c.Invalid(health, s.HealthCheckNodePort, "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'")
		}
	}
	at = p.Child("internalTrafficPolicy")
	if s.InternalTrafficPolicy != nil {
		check.OneOf(&c.Errors, at, *s.InternalTrafficPolicy, corev1.ServiceInternalTrafficPolicyCluster, corev1.ServiceInternalTrafficPolicyLocal)
	} else if slices.Contains([]corev1.ServiceType{corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer}, s.Type) {
		c.Required(at, "")
	}
	if s.TrafficDistribution != nil {
		check.OneOf(&c.Errors, p.Child("trafficDistribution"), *s.TrafficDistribution,
			corev1.ServiceTrafficDistributionPreferClose, corev1.ServiceTrafficDistributionPreferSameZone, corev1.ServiceTrafficDistributionPreferSameNode)
	}
}

// validateServiceStatus checks where a load balancer answers.
func validateServiceStatus(svc, old *corev1.Service) field.ErrorList {
	var f check.Errors
	list := field.NewPath("status", "loadBalancer", "ingress")
	if svc.Spec.Type != corev1.ServiceTypeLoadBalancer && len(svc.Status.LoadBalancer.Ingress) > 0 {
		f.Forbidden(list, "may only be used when `spec.type` is 'LoadBalancer'")
		return f.List
	}
	known := check.KnownOf(old.Status.LoadBalancer.Ingress, func(in corev1.LoadBalancerIngress) string { return in.IP })
	for i, in := range svc.Status.LoadBalancer.Ingress {
		p := list.Index(i)
		if in.IP != "" {
			f.IPOrKnown(p.Child("ip"), in.IP, known)
		}
		switch {
		case in.IPMode == nil && in.IP != "":
			f.Required(p.Child("ipMode"), "must be specified when `ip` is set")
		case in.IPMode != nil && in.IP == "":
			f.Forbidden(p.Child("ipMode"), "may not be specified when `ip` is not set")
		case in.IPMode != nil:
			check.OneOf(&f, p.Child("ipMode"), *in.IPMode, corev1.LoadBalancerIPModeProxy, corev1.LoadBalancerIPModeVIP)
		}
		if in.Hostname != "" {
			f.Subdomain(p.Child("hostname"), in.Hostname)
			if netutils.ParseIPSloppy(in.Hostname) != nil {
				f.Invalid(p.Child("hostname"), in.Hostname, "must be a DNS name, not an IP address")
			}
		}
	}
	return f.List
}
