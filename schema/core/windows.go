package core

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
	"gantry/schema/pods"
)

// checkOS checks that a pod has no fields of the other operating system.
func (c *podCheck) checkOS(p *field.Path) {
	if c.spec.OS == nil {
		return
	}
	os := p.Child("os")
	switch c.spec.OS.Name {
	case "":
		c.Required(os.Child("name"), "")
	case corev1.Linux:
		c.checkLinux(p)
	case corev1.Windows:
		c.checkWindows(p)
	default:
		check.OneOf(&c.Errors, os, c.spec.OS.Name, corev1.Linux, corev1.Windows)
	}
}

func (c *podCheck) checkLinux(p *field.Path) {
	const not = "windows options cannot be set for a linux pod"
	if sc := c.spec.SecurityContext; sc != nil && sc.WindowsOptions != nil {
		c.Forbidden(p.Child("securityContext", "windowsOptions"), not)
	}
	for at, ctr := range pods.ContainersWithPath(c.spec, p) {
		if ctr.SecurityContext != nil && ctr.SecurityContext.WindowsOptions != nil {
			c.Forbidden(at.Child("securityContext", "windowsOptions"), not)
		}
	}
}

// checkWindows forbids the fields that only Linux has. Kubernetes names some of them without the securityContext they
// are in.
func (c *podCheck) checkWindows(p *field.Path) {
	const not = "cannot be set for a windows pod"
	forbid := func(v reflect.Value, at *field.Path, names string) {
		for _, name := range strings.Fields(names) {
			if f := v.FieldByName(name); !f.IsZero() && (f.Kind() != reflect.Slice || f.Len() > 0 || name == "SupplementalGroups") {
				c.Forbidden(at.Child(jsonName(name)), not)
			}
		}
	}
	if c.spec.SecurityContext != nil {
		sc := reflect.ValueOf(c.spec.SecurityContext).Elem()
		forbid(sc, p.Child("securityContext"), "AppArmorProfile SELinuxOptions SeccompProfile FSGroup FSGroupChangePolicy Sysctls "+
			"RunAsUser RunAsGroup SupplementalGroups SupplementalGroupsPolicy SELinuxChangePolicy")
	}
	forbid(reflect.ValueOf(c.spec).Elem(), p, "HostUsers HostPID HostIPC ShareProcessNamespace")
	for at, ctr := range pods.ContainersWithPath(c.spec, p) {
		if ctr.SecurityContext != nil {
			forbid(reflect.ValueOf(ctr.SecurityContext).Elem(), at.Child("securityContext"), "AppArmorProfile SELinuxOptions SeccompProfile Capabilities "+
				"ReadOnlyRootFilesystem Privileged AllowPrivilegeEscalation ProcMount RunAsUser RunAsGroup")
		}
	}
}

// jsonName is the JSON name of a Go field of a security context.
func jsonName(name string) string {
	if rest, ok := strings.CutPrefix(name, "SELinux"); ok {
		return "seLinux" + rest
	}
	if rest, ok := strings.CutPrefix(name, "FS"); ok {
		return "fs" + rest
	}
	return lowerFirst(name)
}

var (
	controlCharacter   = regexp.MustCompile(`[[:cntrl:]]+`)
	netBIOSName        = regexp.MustCompile(`^[^\\/:\*\?"<>|\.][^\\/:\*\?"<>|]{0,14}$`)
	windowsDNSDomain   = regexp.MustCompile(`^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$`)
	badWindowsUser     = regexp.MustCompile(`["/\\:;|=,\+\*\?<>@\[\]]`)
	dotsAndSpacesAlone = regexp.MustCompile(`^[\. ]+$`)
)

func (c *podCheck) checkWindowsOptions(o *corev1.WindowsSecurityContextOptions, p *field.Path) {
	if o == nil {
		return
	}
	const maxSpecKiB = 64
	if o.GMSACredentialSpecName != nil {
		c.Each(p.Child("gmsaCredentialSpecName"), *o.GMSACredentialSpecName, subdomainErrors(*o.GMSACredentialSpecName))
	}
	if s := o.GMSACredentialSpec; s != nil {
		if *s == "" {
			c.Invalid(p.Child("gmsaCredentialSpec"), *s, "gmsaCredentialSpec cannot be an empty string")
		} else if len(*s) > maxSpecKiB<<10 {
			c.Invalid(p.Child("gmsaCredentialSpec"), *s, fmt.Sprintf("gmsaCredentialSpec size must be under %d KiB", maxSpecKiB))
		}
	}
	if o.RunAsUserName != nil {
		for _, m := range windowsUserErrors(*o.RunAsUserName) {
			c.Invalid(p.Child("runAsUserName"), *o.RunAsUserName, m)
		}
	}
}

// windowsUserErrors says what is wrong with USER or DOMAIN\USER.
func windowsUserErrors(name string) (wrong []string) {
	const maxDomain, maxUser = 256, 104
	switch {
	case name == "":
		return []string{"runAsUserName cannot be an empty string"}
	case controlCharacter.MatchString(name):
		return []string{"runAsUserName cannot contain control characters"}
	case strings.Count(name, `\`) > 1:
		return []string{"runAsUserName cannot contain more than one backslash"}
	}
	domain, user, hasDomain := strings.Cut(name, `\`)
	if !hasDomain {
		domain, user = "", name
	}
	if len(domain) >= maxDomain {
		wrong = append(wrong, fmt.Sprintf("runAsUserName's Domain length must be under %d characters", maxDomain))
	}
	if hasDomain && !netBIOSName.MatchString(domain) && !windowsDNSDomain.MatchString(domain) {
		wrong = append(wrong, "runAsUserName's Domain doesn't match the NetBios nor the DNS format")
	}
	if user == "" {
		wrong = append(wrong, "runAsUserName's User cannot be empty")
	} else if len(user) > maxUser {
		wrong = append(wrong, fmt.Sprintf("runAsUserName's User length must not be longer than %d characters", maxUser))
	}
	if dotsAndSpacesAlone.MatchString(user) {
		wrong = append(wrong, `runAsUserName's User cannot contain only periods or spaces`)
	}
	if badWindowsUser.MatchString(user) {
		wrong = append(wrong, `runAsUserName's User cannot contain the following characters: "/\:;|=,+*?<>@[]`)
	}
	return wrong
}

// checkHostProcess checks that containers that are processes of a Windows host are so together.
func (c *podCheck) checkHostProcess(p *field.Path) {
	var ofPod *bool
	if sc := c.spec.SecurityContext; sc != nil && sc.WindowsOptions != nil {
		ofPod = sc.WindowsOptions.HostProcess
	}
	all, host := 0, 0
	for at, ctr := range pods.ContainersWithPath(c.spec, p) {
		all++
		own := ofPod
		if sc := ctr.SecurityContext; sc != nil && sc.WindowsOptions != nil && sc.WindowsOptions.HostProcess != nil {
			own = sc.WindowsOptions.HostProcess
			if ofPod != nil && *ofPod != *own {
				c.Invalid(at.Child("securityContext", "windowsOptions", "hostProcess"), *own, fmt.Sprintf("pod hostProcess value must be identical if both are specified, was %v", *ofPod))
			}
		}
		if own != nil && *own {
			host++
		}
	}
	if host == 0 {
		return
	}
	if host != all {
		c.Invalid(p, "", "If pod contains any hostProcess containers then all containers must be HostProcess containers")
	}
	if !c.spec.HostNetwork {
		c.Invalid(p.Child("hostNetwork"), false, "hostNetwork must be true if pod contains any hostProcess containers")
	}
}
