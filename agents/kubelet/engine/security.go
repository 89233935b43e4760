package engine

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

// dockerUser is Docker's "user:group" for a security context; "" leaves it to the image.
func dockerUser(s corev1.SecurityContext, imageUser string) string {
	user := ""
	if s.RunAsUser != nil {
		user = strconv.FormatInt(*s.RunAsUser, 10)
	}
	if s.RunAsGroup == nil {
		return user
	}
	if user == "" {
		user, _, _ = strings.Cut(imageUser, ":")
	}
	if user == "" {
		user = "0"
	}
	return user + ":" + strconv.FormatInt(*s.RunAsGroup, 10)
}

// secure puts the security context into h. seccompDir holds the files of Localhost profiles.
func secure(h *container.HostConfig, pod *corev1.Pod, s corev1.SecurityContext, f features, seccompDir string) error {
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
		return privilege(h, f)
	}
	if s.ProcMount != nil && *s.ProcMount == corev1.UnmaskedProcMount {
		h.MaskedPaths, h.ReadonlyPaths = []string{}, []string{}
	}
	seccomp, err := seccompOption(s.SeccompProfile, seccompDir)
	if err != nil {
		return err
	}
	h.SecurityOpt = append(h.SecurityOpt, seccomp...)
	h.SecurityOpt = append(h.SecurityOpt, appArmorOption(s.AppArmorProfile, f)...)
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

func appArmorOption(p *corev1.AppArmorProfile, f features) []string {
	switch {
	case p == nil || !f.appArmor || p.Type == corev1.AppArmorProfileTypeRuntimeDefault:
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
