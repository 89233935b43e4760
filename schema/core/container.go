package core

import (
	"fmt"
	"maps"
	"reflect"
	"strings"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
	"gantry/schema/pods"
)

// checkContainers checks regular, init and ephemeral containers; a name is used once among them all.
func (c *podCheck) checkContainers(p *field.Path) {
	names := make(map[string]bool, len(c.spec.Containers))
	list := p.Child("containers")
	if len(c.spec.Containers) == 0 {
		c.Required(list, "")
	}
	for i := range c.spec.Containers {
		ctr, at := &c.spec.Containers[i], list.Index(i)
		c.checkContainer(ctr, at)
		c.takeName(names, ctr.Name, at)
		c.checkLifecycle(ctr, at)
		c.checkRestart(ctr, at)
	}
	c.checkHostPortsUnique(c.spec.Containers, list)
	c.checkInitContainers(names, p.Child("initContainers"))
	c.checkEphemeral(names, p.Child("ephemeralContainers"))
}

func (c *podCheck) takeName(names map[string]bool, name string, at *field.Path) {
	if names[name] {
		c.Duplicate(at.Child("name"), name)
	}
	names[name] = true
}

// checkInitContainers checks init containers; one with restartPolicy Always lives as long as the regular ones and may
// have what they have.
func (c *podCheck) checkInitContainers(names map[string]bool, list *field.Path) {
	for i := range c.spec.InitContainers {
		ctr, at := &c.spec.InitContainers[i], list.Index(i)
		c.checkContainer(ctr, at)
		if ctr.RestartPolicy == nil && len(ctr.RestartPolicyRules) > 0 {
			c.Required(at.Child("restartPolicy"), "must specify restartPolicy when restart rules are used")
		} else {
			c.checkRestart(ctr, at)
		}
		if ctr.Name != "" {
			c.takeName(names, ctr.Name, at)
		}
		c.checkHostPortsUnique(c.spec.InitContainers[i:i+1], list)
		if pods.IsSidecar(ctr) {
			c.checkLifecycle(ctr, at)
			continue
		}
		for _, f := range []struct {
			name string
			set  bool
		}{
			{"lifecycle", ctr.Lifecycle != nil}, {"livenessProbe", ctr.LivenessProbe != nil},
			{"readinessProbe", ctr.ReadinessProbe != nil}, {"startupProbe", ctr.StartupProbe != nil},
		} {
			if f.set {
				c.Forbidden(at.Child(f.name), "may not be set for init containers without restartPolicy=Always")
			}
		}
		for j, r := range ctr.ResizePolicy {
			if r.RestartPolicy == corev1.RestartContainer {
				c.Invalid(at.Child("resizePolicy").Index(j).Child("restartPolicy"), r.RestartPolicy, "must not be set to 'RestartContainer' for non-sidecar initContainers")
			}
		}
	}
}

// ephemeralLacks are the fields of EphemeralContainerCommon that exist only to keep it the shape of Container.
var ephemeralLacks = []string{"Ports", "Resources", "ResizePolicy", "RestartPolicy", "RestartPolicyRules", "LivenessProbe", "ReadinessProbe", "StartupProbe", "Lifecycle"}

func (c *podCheck) checkEphemeral(names map[string]bool, list *field.Path) {
	if len(c.spec.EphemeralContainers) == 0 {
		return
	}
	targets := maps.Clone(names)
	for i := range c.spec.EphemeralContainers {
		e, at := &c.spec.EphemeralContainers[i], list.Index(i)
		ctr := (*corev1.Container)(&e.EphemeralContainerCommon)
		c.checkContainer(ctr, at)
		c.checkImageSpace(ctr, at)
		c.takeName(names, e.Name, at)
		if e.TargetContainerName != "" && !targets[e.TargetContainerName] {
			c.NotFound(at.Child("targetContainerName"), e.TargetContainerName)
		}
		v := reflect.ValueOf(ctr).Elem()
		for _, name := range ephemeralLacks {
			if !v.FieldByName(name).IsZero() {
				c.Forbidden(at.Child(lowerFirst(name)), "cannot be set for an Ephemeral Container")
			}
		}
		for j, m := range e.VolumeMounts {
			if m.SubPath != "" {
				c.Forbidden(at.Child("volumeMounts").Index(j).Child("subPath"), "cannot be set for an Ephemeral Container")
			}
			if m.SubPathExpr != "" {
				c.Forbidden(at.Child("volumeMounts").Index(j).Child("subPathExpr"), "cannot be set for an Ephemeral Container")
			}
		}
	}
}

func lowerFirst(s string) string { return string(unicode.ToLower(rune(s[0]))) + s[1:] }

// checkContainer checks what all containers have in common.
func (c *podCheck) checkContainer(ctr *corev1.Container, p *field.Path) {
	c.Named(p, "name", ctr.Name)
	if ctr.Image == "" {
		c.Required(p.Child("image"), "")
	}
	if ctr.TerminationMessagePolicy != corev1.TerminationMessageReadFile {
		check.SetOneOf(&c.Errors, p.Child("terminationMessagePolicy"), ctr.TerminationMessagePolicy, corev1.TerminationMessageReadFile, corev1.TerminationMessageFallbackToLogsOnError)
	}
	if len(ctr.Ports) > 0 {
		c.checkPorts(ctr.Ports, p.Child("ports"))
	}
	if len(ctr.Env) > 0 {
		c.checkEnv(ctr.Env, p.Child("env"))
	}
	if len(ctr.EnvFrom) > 0 {
		c.checkEnvFrom(ctr.EnvFrom, p.Child("envFrom"))
	}
	c.checkMounts(ctr, p)
	c.checkPullPolicy(ctr.ImagePullPolicy, p.Child("imagePullPolicy"))
	c.checkResources(&ctr.Resources, p.Child("resources"), c.containerResource)
	if len(ctr.ResizePolicy) > 0 {
		c.checkResizePolicy(ctr.ResizePolicy, p.Child("resizePolicy"))
	}
	if ctr.SecurityContext != nil {
		c.checkSecurity(ctr.SecurityContext, p.Child("securityContext"))
	}
}

// checkImageSpace is for pods only: earlier versions of Kubernetes accepted such an image in a template.
func (c *podCheck) checkImageSpace(ctr *corev1.Container, p *field.Path) {
	if strings.TrimSpace(ctr.Image) != ctr.Image {
		c.Invalid(p.Child("image"), ctr.Image, "must not have leading or trailing whitespace")
	}
}

func (c *podCheck) checkPullPolicy(policy corev1.PullPolicy, p *field.Path) {
	check.SetOneOf(&c.Errors, p, policy, corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever)
}

func (c *podCheck) checkPorts(ports []corev1.ContainerPort, list *field.Path) {
	names := map[string]bool{}
	for i := range ports {
		port, p := &ports[i], list.Index(i)
		if port.Name != "" {
			if wrong := validation.IsValidPortName(port.Name); len(wrong) > 0 {
				c.Each(p.Child("name"), port.Name, wrong)
			} else {
				c.takeName(names, port.Name, p)
			}
		}
		switch n := port.ContainerPort; {
		case n == 0:
			c.Required(p.Child("containerPort"), "")
		case n < 0 || n > 65535:
			c.Port(p.Child("containerPort"), n)
		}
		if port.HostPort != 0 {
			c.Port(p.Child("hostPort"), port.HostPort)
		}
		if port.Protocol != corev1.ProtocolTCP {
			c.checkProtocol(port.Protocol, p.Child("protocol"))
		}
	}
}

func (c *podCheck) checkProtocol(protocol corev1.Protocol, p *field.Path) {
	checkProtocol(&c.Errors, protocol, p)
}

func checkProtocol(f *check.Errors, protocol corev1.Protocol, p *field.Path) {
	check.SetOneOf(f, p, protocol, corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP)
}

// checkHostPortsUnique finds two ports of containers that would be the same port of the host.
func (c *podCheck) checkHostPortsUnique(containers []corev1.Container, list *field.Path) {
	var taken map[string]bool
	for i := range containers {
		for j := range containers[i].Ports {
			port := &containers[i].Ports[j]
			if port.HostPort == 0 {
				continue
			}
			key := fmt.Sprintf("%s/%s/%d", port.Protocol, port.HostIP, port.HostPort)
			if taken[key] {
				c.Duplicate(list.Index(i).Child("ports").Index(j).Child("hostPort"), key)
			}
			if taken == nil {
				taken = map[string]bool{}
			}
			taken[key] = true
		}
	}
}

// checkHostPorts checks that in the host's network a port is what it is in the container.
func (c *podCheck) checkHostPorts(list *field.Path) {
	if !c.spec.HostNetwork {
		return
	}
	for i := range c.spec.Containers {
		for j, port := range c.spec.Containers[i].Ports {
			if port.HostPort != port.ContainerPort && (c.isPod() || port.HostPort != 0) {
				c.Invalid(list.Index(i).Child("ports").Index(j).Child("hostPort"), port.HostPort, "must match `containerPort` when `hostNetwork` is true")
			}
		}
	}
}

func (c *podCheck) checkResizePolicy(policies []corev1.ContainerResizePolicy, p *field.Path) {
	seen := map[corev1.ResourceName]bool{}
	for i, r := range policies {
		if seen[r.ResourceName] {
			c.Duplicate(p.Index(i), r.ResourceName)
		}
		seen[r.ResourceName] = true
		check.SetOneOf(&c.Errors, p, r.ResourceName, corev1.ResourceCPU, corev1.ResourceMemory)
		check.SetOneOf(&c.Errors, p, r.RestartPolicy, corev1.NotRequired, corev1.RestartContainer)
		if c.spec.RestartPolicy == corev1.RestartPolicyNever && r.RestartPolicy != corev1.NotRequired {
			c.Invalid(p, r.RestartPolicy, "must be 'NotRequired' when pod `restartPolicy` is 'Never'")
		}
	}
}

// checkRestart checks a container's own restart policy and its rules.
func (c *podCheck) checkRestart(ctr *corev1.Container, p *field.Path) {
	const maxRules, maxCodes = 20, 255
	if ctr.RestartPolicy == nil && len(ctr.RestartPolicyRules) == 0 {
		return
	}
	if ctr.RestartPolicy != nil {
		check.OneOf(&c.Errors, p.Child("restartPolicy"), *ctr.RestartPolicy, corev1.ContainerRestartPolicyAlways, corev1.ContainerRestartPolicyNever, corev1.ContainerRestartPolicyOnFailure)
	} else if len(ctr.RestartPolicyRules) > 0 {
		c.Required(p.Child("restartPolicy"), "must specify restartPolicy when restart rules are used")
	}
	rules := p.Child("restartPolicyRules")
	if n := len(ctr.RestartPolicyRules); n > maxRules {
		c.Add(field.TooMany(rules, n, maxRules))
	}
	for i, r := range ctr.RestartPolicyRules {
		check.OneOf(&c.Errors, rules.Index(i).Child("action"), r.Action, corev1.ContainerRestartRuleActionRestart, corev1.ContainerRestartRuleActionRestartAllContainers)
		codes := rules.Index(i).Child("exitCodes")
		if r.ExitCodes == nil {
			c.Required(codes, "must be specified")
			continue
		}
		check.OneOf(&c.Errors, codes.Child("operator"), r.ExitCodes.Operator, corev1.ContainerRestartRuleOnExitCodesOpIn, corev1.ContainerRestartRuleOnExitCodesOpNotIn)
		if n := len(r.ExitCodes.Values); n > maxCodes {
			c.Add(field.TooMany(codes.Child("values"), n, maxCodes))
		}
	}
}
