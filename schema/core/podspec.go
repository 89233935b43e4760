package core

import (
	"math"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

// podCheck is one validation of the spec of a pod or a template. Rules are its methods; its fields are what they share.
type podCheck struct {
	check.Errors
	spec *corev1.PodSpec
	// meta is the pod's; nil for a template.
	meta *metav1.ObjectMeta
	// volumes are the valid ones by name.
	volumes map[string]*corev1.VolumeSource
	// claims are the names of resource claims; claimNames is the detail of errors that list them, once there is one.
	claims     map[string]bool
	claimNames string
	// hostUsers is false where the pod has a user namespace of its own.
	hostUsers bool
	// old is what an update replaces, nil on a create; its invalid values stay allowed where a later version
	// of Kubernetes forbids them.
	old *corev1.PodSpec
}

// ValidatePodTemplate returns every error of a template at path.
func ValidatePodTemplate(t *corev1.PodTemplateSpec, path *field.Path) field.ErrorList {
	c := podCheck{spec: &t.Spec}
	c.templateMeta(t, path)
	spec := path.Child("spec")
	c.run(spec)
	c.profileAnnotations(t.Annotations, spec)
	if len(t.Spec.EphemeralContainers) > 0 {
		c.Forbidden(spec.Child("ephemeralContainers"), "ephemeral containers not allowed in pod template")
	}
	return c.List
}

// ValidateTemplateMeta returns every error of a template's labels and annotations.
func ValidateTemplateMeta(t *corev1.PodTemplateSpec, path *field.Path) field.ErrorList {
	c := podCheck{spec: &t.Spec}
	c.templateMeta(t, path)
	return c.List
}

func (c *podCheck) templateMeta(t *corev1.PodTemplateSpec, path *field.Path) {
	c.Add(metavalidation.ValidateLabels(t.Labels, path.Child("labels"))...)
	c.Add(validateAnnotations(t.Annotations, path.Child("annotations"))...)
	c.podAnnotations(t.Annotations, path.Child("annotations"))
}

func (c *podCheck) isPod() bool { return c.meta != nil }

// run checks the spec, field by field.
func (c *podCheck) run(p *field.Path) {
	s := c.spec
	sc := s.SecurityContext
	c.hostUsers = s.HostUsers == nil || *s.HostUsers
	if s.TerminationGracePeriodSeconds == nil {
		c.Required(p.Child("terminationGracePeriodSeconds"), "")
	}
	c.checkVolumes(p.Child("volumes"))
	c.checkClaims(p.Child("resourceClaims"))
	c.checkContainers(p)
	c.checkPodResources(p.Child("resources"))
	c.checkHostPorts(p.Child("containers"))
	check.SetOneOf(&c.Errors, p.Child("restartPolicy"), s.RestartPolicy, corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever)
	check.SetOneOf(&c.Errors, p.Child("dnsPolicy"), s.DNSPolicy, corev1.DNSClusterFirstWithHostNet, corev1.DNSClusterFirst, corev1.DNSDefault, corev1.DNSNone)
	if len(s.NodeSelector) > 0 {
		c.Add(metavalidation.ValidateLabels(s.NodeSelector, p.Child("nodeSelector"))...)
	}
	if sc != nil {
		c.checkPodSecurity(sc, p.Child("securityContext"))
	}
	c.checkAffinity(p.Child("affinity"))
	c.checkDNS(p.Child("dnsConfig"))
	for i, g := range s.ReadinessGates {
		c.Qualified(p.Child("readinessGates").Index(i).Child("conditionType"), string(g.ConditionType))
	}
	c.checkGates(p.Child("schedulingGates"))
	c.checkSpread(p.Child("topologySpreadConstraints"))
	c.checkHostProcess(p)
	c.checkUserNamespace(p)
	c.checkNames(p)
	c.checkTolerations(s.Tolerations, p.Child("tolerations"))
	c.checkHostAliases(p.Child("hostAliases"))
	c.checkScheduling(p)
	c.checkOS(p)
	c.checkEnvFiles(p)
}

// checkNames checks the fields that hold a name.
func (c *podCheck) checkNames(p *field.Path) {
	s := c.spec
	if s.HostnameOverride != nil {
		c.checkHostnameOverride(p.Child("hostnameOverride"))
	}
	for _, n := range []struct{ field, value string }{
		{"serviceAccountName", s.ServiceAccountName}, {"nodeName", s.NodeName},
	} {
		if n.value != "" {
			c.Subdomain(p.Child(n.field), n.value)
		}
	}
	if d := s.ActiveDeadlineSeconds; d != nil {
		c.Range(p.Child("activeDeadlineSeconds"), *d, 1, math.MaxInt32)
	}
	if s.Hostname != "" {
		c.Label(p.Child("hostname"), s.Hostname)
	}
	if s.Subdomain != "" {
		c.Label(p.Child("subdomain"), s.Subdomain)
	}
}

func (c *podCheck) checkHostnameOverride(p *field.Path) {
	if c.spec.SetHostnameAsFQDN != nil && *c.spec.SetHostnameAsFQDN {
		c.Forbidden(p, "may not be specified when setHostnameAsFQDN is true")
	}
	if c.spec.HostNetwork {
		c.Forbidden(p, "may not be specified when hostNetwork is true")
	}
	name := *c.spec.HostnameOverride
	if len(name) > 64 {
		c.Add(field.TooLong(p, "", 64))
	}
	c.Subdomain(p, name)
}

// checkScheduling checks priority, runtime class and the fields that they set.
func (c *podCheck) checkScheduling(p *field.Path) {
	s := c.spec
	if s.PriorityClassName != "" {
		c.Subdomain(p.Child("priorityClassName"), s.PriorityClassName)
	}
	if s.RuntimeClassName != nil {
		c.Subdomain(p.Child("runtimeClassName"), *s.RuntimeClassName)
	}
	if s.PreemptionPolicy != nil {
		check.SetOneOf(&c.Errors, p.Child("preemptionPolicy"), *s.PreemptionPolicy, corev1.PreemptLowerPriority, corev1.PreemptNever)
	}
	if s.Overhead != nil {
		c.checkResources(&corev1.ResourceRequirements{Limits: s.Overhead}, p.Child("overhead"), c.containerResource)
	}
	if g := s.SchedulingGroup; g != nil {
		q := p.Child("schedulingGroup", "podGroupName")
		if g.PodGroupName == nil {
			c.Invalid(q, g.PodGroupName, "must specify one of: `podGroupName`")
		} else {
			c.Subdomain(q, *g.PodGroupName)
		}
	}
}

func (c *podCheck) checkGates(p *field.Path) {
	seen := map[string]bool{}
	for i, g := range c.spec.SchedulingGates {
		c.Qualified(p.Index(i), g.Name)
		if seen[g.Name] {
			c.Duplicate(p.Index(i), g.Name)
		}
		seen[g.Name] = true
	}
}
