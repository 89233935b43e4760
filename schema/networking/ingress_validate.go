package networking

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"gantry/schema/internal/check"
)

var specPath = field.NewPath("spec")

// ingressCheck is one validation of an ingress. An update may keep what earlier versions of Kubernetes accepted.
type ingressCheck struct {
	check.Errors
	anySecret   bool // names of TLS secrets are not checked
	anyWildcard bool // rules of wildcard hosts are not checked
	oldServices bool // services have the names of Kubernetes before 1.36: DNS-1035 labels
}

// validateIngress checks that
//   - there is a default backend or a rule, and each backend is a service with one port, or a resource;
//   - hosts are DNS names, which may begin with "*.";
//   - paths are absolute, and plain where they are matched segment by segment;
//   - TLS hosts, secrets and the class are named validly;
//   - the annotation of the class, where it is set, is the class.
func validateIngress(in *networkingv1.Ingress) field.ErrorList {
	var c ingressCheck
	c.checkSpec(&in.Spec)
	class, set := in.Annotations[classAnnotation]
	if set && in.Spec.IngressClassName != nil && class != *in.Spec.IngressClassName {
		c.Invalid(field.NewPath("annotations").Child(classAnnotation), class, "must match `ingressClassName` when both are specified")
	}
	return c.List
}

func validateIngressUpdate(in, old *networkingv1.Ingress) field.ErrorList {
	var c ingressCheck
	for _, t := range old.Spec.TLS {
		c.anySecret = c.anySecret || t.SecretName != "" && !check.IsSubdomain(t.SecretName)
	}
	for i := range old.Spec.Rules {
		if r := &old.Spec.Rules[i]; !c.anyWildcard && strings.Contains(r.Host, "*") {
			before := ingressCheck{oldServices: true}
			before.checkRule(&r.IngressRuleValue, specPath)
			c.anyWildcard = before.Count() > 0
		}
	}
	c.checkSpec(&in.Spec)
	return c.List
}

// validateIngressStatus checks where a load balancer answers.
func validateIngressStatus(in, old *networkingv1.Ingress) field.ErrorList {
	var f check.Errors
	known := check.KnownOf(old.Status.LoadBalancer.Ingress, func(at networkingv1.IngressLoadBalancerIngress) string { return at.IP })
	for i, at := range in.Status.LoadBalancer.Ingress {
		p := balancerPath.Index(i)
		if at.IP != "" {
			f.IPOrKnown(p.Child("ip"), at.IP, known)
		}
		if at.Hostname != "" {
			f.Subdomain(p.Child("hostname"), at.Hostname)
			checkNoAddress(&f, at.Hostname, p.Child("hostname"))
		}
	}
	return f.List
}

func (c *ingressCheck) checkSpec(s *networkingv1.IngressSpec) {
	if len(s.Rules) == 0 && s.DefaultBackend == nil {
		c.Invalid(specPath, s.Rules, "either `defaultBackend` or `rules` must be specified")
	}
	if s.DefaultBackend != nil {
		c.checkBackend(s.DefaultBackend, specPath.Child("defaultBackend"))
	}
	rules := specPath.Child("rules")
	for i := range s.Rules {
		r, p := &s.Rules[i], rules.Index(i)
		if r.Host != "" {
			checkNoAddress(&c.Errors, r.Host, p.Child("host"))
			c.checkHost(r.Host, p.Child("host"))
		}
		if !c.anyWildcard || !strings.Contains(r.Host, "*") {
			c.checkRule(&r.IngressRuleValue, p)
		}
	}
	c.checkTLS(s.TLS, specPath.Child("tls"))
	if s.IngressClassName != nil {
		c.Subdomain(specPath.Child("ingressClassName"), *s.IngressClassName)
	}
}

func (c *ingressCheck) checkTLS(list []networkingv1.IngressTLS, p *field.Path) {
	for i, t := range list {
		for j, host := range t.Hosts {
			c.checkHost(host, p.Index(i).Child("hosts").Index(j))
		}
		if !c.anySecret && t.SecretName != "" {
			c.Subdomain(p.Index(i).Child("secretName"), t.SecretName)
		}
	}
}

// checkHost requires a DNS name, which may begin with "*.".
func (c *ingressCheck) checkHost(host string, p *field.Path) {
	if strings.Contains(host, "*") {
		c.Each(p, host, validation.IsWildcardDNS1123Subdomain(host))
		return
	}
	c.Subdomain(p, host)
}

func checkNoAddress(f *check.Errors, host string, p *field.Path) {
	if netutils.ParseIPSloppy(host) != nil {
		f.Invalid(p, host, "must be a DNS name, not an IP address")
	}
}

func (c *ingressCheck) checkRule(r *networkingv1.IngressRuleValue, p *field.Path) {
	if r.HTTP == nil {
		return
	}
	paths := p.Child("http", "paths")
	if len(r.HTTP.Paths) == 0 {
		c.Required(paths, "")
	}
	for i := range r.HTTP.Paths {
		c.checkPath(&r.HTTP.Paths[i], paths.Index(i))
	}
}

func (c *ingressCheck) checkPath(h *networkingv1.HTTPIngressPath, p *field.Path) {
	if h.PathType == nil {
		c.Required(p.Child("pathType"), "pathType must be specified")
		return
	}
	at := p.Child("path")
	switch *h.PathType {
	case networkingv1.PathTypeExact, networkingv1.PathTypePrefix:
		c.checkAbsolute(h.Path, at)
		for _, part := range []string{"//", "/./", "/../", "%2f", "%2F"} {
			if strings.Contains(h.Path, part) {
				c.Invalid(at, h.Path, fmt.Sprintf("must not contain '%s'", part))
			}
		}
		for _, end := range []string{"/..", "/."} {
			if strings.HasSuffix(h.Path, end) {
				c.Invalid(at, h.Path, fmt.Sprintf("cannot end with '%s'", end))
			}
		}
	case networkingv1.PathTypeImplementationSpecific:
		if h.Path != "" {
			c.checkAbsolute(h.Path, at)
		}
	default:
		c.Add(field.NotSupported(p.Child("pathType"), *h.PathType, []networkingv1.PathType{
			networkingv1.PathTypeExact, networkingv1.PathTypeImplementationSpecific, networkingv1.PathTypePrefix}))
	}
	c.checkBackend(&h.Backend, p.Child("backend"))
}

func (c *ingressCheck) checkAbsolute(path string, p *field.Path) {
	if !strings.HasPrefix(path, "/") {
		c.Invalid(p, path, "must be an absolute path")
	}
}

func (c *ingressCheck) checkBackend(b *networkingv1.IngressBackend, p *field.Path) {
	switch {
	case b.Resource != nil && b.Service != nil:
		c.Invalid(p, "", "cannot set both resource and service backends")
	case b.Resource != nil:
		checkReference(&c.Errors, b.Resource, p.Child("resource"))
	case b.Service != nil:
		c.checkService(b.Service, p)
	default:
		c.Invalid(p, "", "resource or service backend is required")
	}
}

func (c *ingressCheck) checkService(s *networkingv1.IngressServiceBackend, p *field.Path) {
	service := p.Child("service")
	if name := service.Child("name"); c.Set(name, s.Name) {
		c.Label(name, s.Name)
		if c.oldServices {
			c.Each(name, s.Name, apivalidation.NameIsDNS1035Label(s.Name, false))
		}
	}
	switch port := s.Port; {
	case port.Name != "" && port.Number != 0:
		c.Invalid(p, "", "cannot set both port name & port number")
	case port.Name != "":
		c.Each(service.Child("port", "name"), port.Name, validation.IsValidPortName(port.Name))
	case port.Number != 0:
		c.Port(service.Child("port", "number"), port.Number)
	default:
		c.Required(p, "port name or number is required")
	}
}

func checkReference(f *check.Errors, ref *corev1.TypedLocalObjectReference, p *field.Path) {
	if ref.APIGroup != nil {
		f.Subdomain(p.Child("apiGroup"), *ref.APIGroup)
	}
	checkSegment(f, ref.Kind, p.Child("kind"))
	checkSegment(f, ref.Name, p.Child("name"))
}

// checkSegment requires a text that can be a segment of a path.
func checkSegment(f *check.Errors, text string, p *field.Path) {
	if f.Set(p, text) {
		f.Each(p, text, content.IsPathSegmentName(text))
	}
}
