package admission

import (
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/podstate"
)

// SecurityOf is a container's security context with the pod's filling what it leaves open. Never nil fields are assumed.
func SecurityOf(pod *corev1.Pod, c *corev1.Container) corev1.SecurityContext {
	var s corev1.SecurityContext
	if c.SecurityContext != nil {
		s = *c.SecurityContext
	}
	p := pod.Spec.SecurityContext
	if p == nil {
		return s
	}
	if s.RunAsUser == nil {
		s.RunAsUser = p.RunAsUser
	}
	if s.RunAsGroup == nil {
		s.RunAsGroup = p.RunAsGroup
	}
	if s.RunAsNonRoot == nil {
		s.RunAsNonRoot = p.RunAsNonRoot
	}
	if s.SeccompProfile == nil {
		s.SeccompProfile = p.SeccompProfile
	}
	if s.AppArmorProfile == nil {
		s.AppArmorProfile = p.AppArmorProfile
	}
	if s.SELinuxOptions == nil {
		s.SELinuxOptions = p.SELinuxOptions
	}
	return s
}

// CheckNonRoot tells why a container that must not run as root would: imageUser is what its image says.
func CheckNonRoot(pod *corev1.Pod, c *corev1.Container, s corev1.SecurityContext, imageUser string) error {
	if s.RunAsNonRoot == nil || !*s.RunAsNonRoot {
		return nil
	}
	where := fmt.Sprintf("(pod: %q, container: %s)", podstate.LongName(pod), c.Name)
	if s.RunAsUser != nil {
		if *s.RunAsUser == 0 {
			return fmt.Errorf("container's runAsUser breaks non-root policy %s", where)
		}
		return nil
	}
	user, _, _ := strings.Cut(imageUser, ":")
	uid, err := strconv.ParseInt(user, 10, 64)
	switch {
	case user == "" || err == nil && uid == 0:
		return fmt.Errorf("container has runAsNonRoot and image will run as root %s", where)
	case err != nil:
		return fmt.Errorf("container has runAsNonRoot and image has non-numeric user (%s), cannot verify user is non-root %s", user, where)
	}
	return nil
}
