package core

import (
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/component-helpers/node/util/sysctl"

	"gantry/schema/internal/check"
	"gantry/schema/pods"
)

// checkSecurity checks a container's security context.
func (c *podCheck) checkSecurity(sc *corev1.SecurityContext, p *field.Path) {
	if sc == nil {
		return
	}
	c.checkUser(sc.RunAsUser, p.Child("runAsUser"))
	c.checkGroup(sc.RunAsGroup, p.Child("runAsGroup"))
	if sc.ProcMount != nil {
		at := p.Child("procMount")
		check.OneOf(&c.Errors, at, *sc.ProcMount, corev1.DefaultProcMount, corev1.UnmaskedProcMount)
		if c.hostUsers && *sc.ProcMount == corev1.UnmaskedProcMount {
			c.Invalid(at, *sc.ProcMount, "`hostUsers` must be false to use `Unmasked`")
		}
	}
	c.checkSeccomp(sc.SeccompProfile, p.Child("seccompProfile"))
	if sc.AllowPrivilegeEscalation != nil && !*sc.AllowPrivilegeEscalation {
		if sc.Privileged != nil && *sc.Privileged {
			c.Invalid(p, sc, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true")
		}
		if sc.Capabilities != nil {
			for _, added := range sc.Capabilities.Add {
				if added == "CAP_SYS_ADMIN" {
					c.Invalid(p, sc, "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN")
				}
			}
		}
	}
	c.checkWindowsOptions(sc.WindowsOptions, p.Child("windowsOptions"))
	c.checkAppArmor(sc.AppArmorProfile, p.Child("appArmorProfile"))
}

// checkPodSecurity checks the security context of the pod.
func (c *podCheck) checkPodSecurity(sc *corev1.PodSecurityContext, p *field.Path) {
	c.checkGroup(sc.FSGroup, p.Child("fsGroup"))
	c.checkUser(sc.RunAsUser, p.Child("runAsUser"))
	c.checkGroup(sc.RunAsGroup, p.Child("runAsGroup"))
	for i := range sc.SupplementalGroups {
		c.checkGroup(&sc.SupplementalGroups[i], p.Child("supplementalGroups").Index(i))
	}
	if share := c.spec.ShareProcessNamespace; share != nil && *share && c.spec.HostPID {
		c.Invalid(p.Child("shareProcessNamespace"), true, "ShareProcessNamespace and HostPID cannot both be enabled")
	}
	c.checkSysctls(sc.Sysctls, p.Child("sysctls"))
	if sc.FSGroupChangePolicy != nil {
		check.OneOf(&c.Errors, p.Child("fsGroupChangePolicy"), *sc.FSGroupChangePolicy, corev1.FSGroupChangeAlways, corev1.FSGroupChangeOnRootMismatch)
	}
	c.checkSeccomp(sc.SeccompProfile, p.Child("seccompProfile"))
	c.checkWindowsOptions(sc.WindowsOptions, p.Child("windowsOptions"))
	c.checkAppArmor(sc.AppArmorProfile, p.Child("appArmorProfile"))
	if sc.SupplementalGroupsPolicy != nil {
		check.OneOf(&c.Errors, p.Child("supplementalGroupsPolicy"), *sc.SupplementalGroupsPolicy, corev1.SupplementalGroupsPolicyMerge, corev1.SupplementalGroupsPolicyStrict)
	}
	if sc.SELinuxChangePolicy != nil { // MountOption needs a feature that is off in 1.36
		check.OneOf(&c.Errors, p.Child("seLinuxChangePolicy"), *sc.SELinuxChangePolicy, corev1.SELinuxChangePolicyRecursive)
	}
}

func (c *podCheck) checkUser(id *int64, p *field.Path) {
	if id != nil {
		c.Each(p, *id, validation.IsValidUserID(*id))
	}
}

func (c *podCheck) checkGroup(id *int64, p *field.Path) {
	if id != nil {
		c.Each(p, *id, validation.IsValidGroupID(*id))
	}
}

const sysctlMaxLength = 253

var sysctlName = regexp.MustCompile(`^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$`)

func (c *podCheck) checkSysctls(list []corev1.Sysctl, p *field.Path) {
	seen := map[string]bool{}
	for i, s := range list {
		at := p.Index(i).Child("name")
		switch {
		case s.Name == "":
			c.Required(at, "")
		case len(s.Name) > sysctlMaxLength || !sysctlName.MatchString(s.Name):
			c.Invalid(at, s.Name, fmt.Sprintf("must have at most %d characters and match regex %s", sysctlMaxLength, sysctlName))
		case seen[s.Name]:
			c.Duplicate(at, s.Name)
		}
		seen[s.Name] = true
		switch ns, _, _ := sysctl.GetNamespace(s.Name); {
		case c.spec.HostNetwork && ns == sysctl.NetNamespace:
			c.Invalid(at, s.Name, "may not be specified when 'hostNetwork' is true")
		case c.spec.HostIPC && ns == sysctl.IPCNamespace:
			c.Invalid(at, s.Name, "may not be specified when 'hostIPC' is true")
		}
	}
}

func (c *podCheck) checkSeccomp(s *corev1.SeccompProfile, p *field.Path) {
	if s == nil {
		return
	}
	kind, file := p.Child("type"), p.Child("localhostProfile")
	if s.Type == "" {
		c.Required(kind, "type is required when seccompProfile is set")
	} else {
		check.OneOf(&c.Errors, kind, s.Type, corev1.SeccompProfileTypeLocalhost, corev1.SeccompProfileTypeRuntimeDefault, corev1.SeccompProfileTypeUnconfined)
	}
	switch local := s.Type == corev1.SeccompProfileTypeLocalhost; {
	case local && s.LocalhostProfile == nil:
		c.Required(file, "must be set when seccomp type is Localhost")
	case local:
		c.checkBelow(*s.LocalhostProfile, file)
	case s.LocalhostProfile != nil:
		c.Invalid(file, s, "can only be set when seccomp type is Localhost")
	}
}

func (c *podCheck) checkAppArmor(a *corev1.AppArmorProfile, p *field.Path) {
	if a == nil {
		return
	}
	const maxPath = 4095
	file := p.Child("localhostProfile")
	switch a.Type {
	case corev1.AppArmorProfileTypeLocalhost:
		if a.LocalhostProfile == nil || *a.LocalhostProfile == "" {
			c.Required(file, "must be set when AppArmor type is Localhost")
			return
		}
		if strings.TrimSpace(*a.LocalhostProfile) != *a.LocalhostProfile {
			c.Invalid(file, *a.LocalhostProfile, "must not be padded with whitespace")
		}
		if len(*a.LocalhostProfile) > maxPath {
			c.Add(field.TooLong(file, "", maxPath))
		}
	case corev1.AppArmorProfileTypeRuntimeDefault, corev1.AppArmorProfileTypeUnconfined:
		if a.LocalhostProfile != nil {
			c.Invalid(file, *a.LocalhostProfile, "can only be set when AppArmor type is Localhost")
		}
	case "":
		c.Required(p.Child("type"), "type is required when appArmorProfile is set")
	default:
		check.OneOf(&c.Errors, p.Child("type"), a.Type, corev1.AppArmorProfileTypeLocalhost, corev1.AppArmorProfileTypeRuntimeDefault, corev1.AppArmorProfileTypeUnconfined)
	}
}

// checkUserNamespace checks that a pod with users of its own does not share the host's namespaces.
func (c *podCheck) checkUserNamespace(p *field.Path) {
	if c.hostUsers {
		return
	}
	for _, f := range []struct {
		name string
		set  bool
	}{{"hostNetwork", c.spec.HostNetwork}, {"HostPID", c.spec.HostPID}, {"HostIPC", c.spec.HostIPC}} {
		if f.set {
			c.Forbidden(p.Child(f.name), "when `hostUsers` is false")
		}
	}
	if c.old != nil && c.old.HostUsers != nil && !*c.old.HostUsers && hasDevices(c.old) {
		return // it does not work, but was accepted once
	}
	for at, ctr := range pods.ContainersWithPath(c.spec, p) {
		if len(ctr.VolumeDevices) > 0 {
			c.Forbidden(at.Child("volumeDevices"), "when `hostUsers` is false")
		}
	}
}

func hasDevices(spec *corev1.PodSpec) bool {
	for _, ctr := range pods.Containers(spec) {
		if len(ctr.VolumeDevices) > 0 {
			return true
		}
	}
	return false
}
