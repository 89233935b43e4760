package kubelet

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/container"
	corev1 "k8s.io/api/core/v1"
)

// securityOf is a container's security context with the pod's filling what it leaves open. Never nil fields are assumed.
func securityOf(pod *corev1.Pod, c *corev1.Container) corev1.SecurityContext {
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

// checkNonRoot tells why a container that must not run as root would: imageUser is what its image says.
func checkNonRoot(pod *corev1.Pod, c *corev1.Container, s corev1.SecurityContext, imageUser string) error {
	if s.RunAsNonRoot == nil || !*s.RunAsNonRoot {
		return nil
	}
	where := fmt.Sprintf("(pod: %q, container: %s)", longName(pod), c.Name)
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

// dockerUser is Docker's "user:group" for a security context; "" leaves it to the image.
func dockerUser(s corev1.SecurityContext, imageUser string) (string, error) {
	user := ""
	if s.RunAsUser != nil {
		user = strconv.FormatInt(*s.RunAsUser, 10)
	}
	if s.RunAsGroup == nil {
		return user, nil
	}
	if user == "" {
		user, _, _ = strings.Cut(imageUser, ":")
	}
	if user == "" {
		user = "0"
	}
	return user + ":" + strconv.FormatInt(*s.RunAsGroup, 10), nil
}

// secure puts the security context into h. seccompDir holds the files of Localhost profiles.
func secure(h *container.HostConfig, pod *corev1.Pod, s corev1.SecurityContext, e engine, seccompDir string) error {
	privileged := s.Privileged != nil && *s.Privileged
	h.ReadonlyRootfs = s.ReadOnlyRootFilesystem != nil && *s.ReadOnlyRootFilesystem
	if s.Capabilities != nil {
		h.CapAdd, h.CapDrop = capabilityNames(s.Capabilities.Add), capabilityNames(s.Capabilities.Drop)
	}
	if s.AllowPrivilegeEscalation != nil && !*s.AllowPrivilegeEscalation && !privileged {
		h.SecurityOpt = append(h.SecurityOpt, "no-new-privileges")
	}
	if p := pod.Spec.SecurityContext; p != nil {
		for _, g := range p.SupplementalGroups {
			h.GroupAdd = append(h.GroupAdd, strconv.FormatInt(g, 10))
		}
		if p.FSGroup != nil {
			h.GroupAdd = append(h.GroupAdd, strconv.FormatInt(*p.FSGroup, 10))
		}
	}
	if o := s.SELinuxOptions; o != nil && !privileged {
		for name, value := range map[string]string{"user": o.User, "role": o.Role, "type": o.Type, "level": o.Level} {
			if value != "" {
				h.SecurityOpt = append(h.SecurityOpt, "label="+name+":"+value)
			}
		}
	}
	if privileged {
		return privilege(h, e)
	}
	if s.ProcMount != nil && *s.ProcMount == corev1.UnmaskedProcMount {
		h.MaskedPaths, h.ReadonlyPaths = []string{}, []string{}
	}
	seccomp, err := seccompOption(s.SeccompProfile, seccompDir)
	if err != nil {
		return err
	}
	h.SecurityOpt = append(h.SecurityOpt, seccomp...)
	h.SecurityOpt = append(h.SecurityOpt, appArmorOption(s.AppArmorProfile, e)...)
	return nil
}

// seccompOption: without a profile a container gets the engine's default one, the safer of Kubernetes' two ways
// (its kubelet's --seccomp-default).
func seccompOption(p *corev1.SeccompProfile, dir string) ([]string, error) {
	switch {
	case p == nil || p.Type == corev1.SeccompProfileTypeRuntimeDefault:
		return nil, nil
	case p.Type == corev1.SeccompProfileTypeUnconfined:
		return []string{"seccomp=unconfined"}, nil
	case p.LocalhostProfile == nil || !filepath.IsLocal(*p.LocalhostProfile):
		return nil, fmt.Errorf("the localhost seccomp profile is not a relative path below %s", dir)
	}
	profile, err := os.ReadFile(filepath.Join(dir, *p.LocalhostProfile))
	if err != nil {
		return nil, fmt.Errorf("cannot load seccomp profile %q: %w", filepath.Join(dir, *p.LocalhostProfile), err)
	}
	if !json.Valid(profile) {
		return nil, fmt.Errorf("cannot load seccomp profile %q: it is not JSON", filepath.Join(dir, *p.LocalhostProfile))
	}
	return []string{"seccomp=" + string(profile)}, nil
}

func appArmorOption(p *corev1.AppArmorProfile, e engine) []string {
	switch {
	case p == nil || !e.appArmor || p.Type == corev1.AppArmorProfileTypeRuntimeDefault:
		return nil
	case p.Type == corev1.AppArmorProfileTypeUnconfined:
		return []string{"apparmor=unconfined"}
	case p.LocalhostProfile != nil:
		return []string{"apparmor=" + *p.LocalhostProfile}
	}
	return nil
}

func capabilityNames(list []corev1.Capability) []string {
	var names []string
	for _, c := range list {
		names = append(names, string(c))
	}
	return names
}
