package core

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/pods"
)

// Annotations that fields have replaced.
const (
	tolerationsAnnotation = "scheduler.alpha.kubernetes.io/tolerations"
	appArmorAnnotation    = corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix // + container
	seccompAnnotation     = "container.seccomp.security.alpha.kubernetes.io/"         // + container
	seccompPodAnnotation  = "seccomp.security.alpha.kubernetes.io/pod"
)

// podAnnotations checks the annotations that mean something to a pod.
func (c *podCheck) podAnnotations(annotations map[string]string, p *field.Path) {
	if len(annotations) == 0 {
		return
	}
	if value, ok := annotations[corev1.MirrorPodAnnotationKey]; ok && c.spec.NodeName == "" {
		c.Invalid(p.Key(corev1.MirrorPodAnnotationKey), value, "must set spec.nodeName if mirror pod annotation is set")
	}
	if text := annotations[tolerationsAnnotation]; text != "" {
		var list []corev1.Toleration
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			c.Invalid(p, tolerationsAnnotation, err.Error())
		} else {
			c.checkTolerations(list, p.Child(tolerationsAnnotation))
		}
	}
	if cost, ok := annotations[corev1.PodDeletionCost]; ok && !isDeletionCost(cost) {
		c.Invalid(p.Key(corev1.PodDeletionCost), cost, "must be a 32bit integer")
	}
	var containers map[string]bool
	for _, key := range sortedKeys(annotations) {
		value := annotations[key]
		switch {
		case key == seccompPodAnnotation || strings.HasPrefix(key, seccompAnnotation):
			c.checkSeccompAnnotation(value, p.Child(key))
		case strings.HasPrefix(key, appArmorAnnotation):
			if containers == nil {
				containers = map[string]bool{}
				for _, ctr := range pods.Containers(c.spec) {
					containers[ctr.Name] = true
				}
			}
			c.checkAppArmorAnnotation(key, value, containers, p.Key(key))
		}
	}
}

// isDeletionCost tells whether text is an integer in its canonical form: without a plus sign and leading zeros.
func isDeletionCost(text string) bool {
	_, err := strconv.ParseInt(text, 10, 32)
	return err == nil && !strings.HasPrefix(text, "+") && (text == "0" || !strings.HasPrefix(text, "0"))
}

func (c *podCheck) checkSeccompAnnotation(value string, p *field.Path) {
	file, local := strings.CutPrefix(value, "localhost/")
	switch {
	case local:
		c.checkBelow(file, p)
	case value != "runtime/default" && value != "docker/default" && value != "unconfined":
		c.Invalid(p, value, "must be a valid seccomp profile")
	}
}

func (c *podCheck) checkAppArmorAnnotation(key, value string, containers map[string]bool, p *field.Path) {
	name := strings.TrimPrefix(key, appArmorAnnotation)
	if !containers[name] {
		c.Invalid(p, name, "container not found")
	}
	if value != "" && value != "runtime/default" && value != "unconfined" && !strings.HasPrefix(value, "localhost/") {
		c.Invalid(p, value, fmt.Sprintf("invalid AppArmor profile name: %q", value))
	}
}

// profileAnnotations checks that a profile given as annotation and as field is the same one.
func (c *podCheck) profileAnnotations(annotations map[string]string, p *field.Path) {
	if len(annotations) == 0 {
		return
	}
	pod := c.spec.SecurityContext
	if value, ok := annotations[seccompPodAnnotation]; ok && pod != nil && pod.SeccompProfile != nil {
		s := pod.SeccompProfile
		c.matchProfile("seccomp", value, string(s.Type), s.LocalhostProfile, p.Child("securityContext", "seccompProfile"))
	}
	for at, ctr := range pods.ContainersWithPath(c.spec, p) {
		sc := ctr.SecurityContext
		if value, ok := annotations[seccompAnnotation+ctr.Name]; ok && sc != nil && sc.SeccompProfile != nil {
			s := sc.SeccompProfile
			c.matchProfile("seccomp", value, string(s.Type), s.LocalhostProfile, at.Child("securityContext", "seccompProfile"))
		}
	}
	if c.spec.OS != nil && c.spec.OS.Name == corev1.Windows {
		return
	}
	for at, ctr := range pods.ContainersWithPath(c.spec, p) {
		var a *corev1.AppArmorProfile
		if pod != nil {
			a = pod.AppArmorProfile
		}
		if sc := ctr.SecurityContext; sc != nil && sc.AppArmorProfile != nil {
			a = sc.AppArmorProfile
		}
		if value, ok := annotations[appArmorAnnotation+ctr.Name]; ok && a != nil {
			c.matchProfile("apparmor", value, string(a.Type), a.LocalhostProfile, at.Child("securityContext", "appArmorProfile"))
		}
	}
}

func (c *podCheck) matchProfile(system, annotation, kind string, file *string, p *field.Path) {
	local, isLocal := strings.CutPrefix(annotation, "localhost/")
	same := true
	switch kind {
	case "Unconfined":
		same = annotation == "unconfined"
	case "RuntimeDefault":
		same = annotation == "runtime/default" || system == "seccomp" && annotation == "docker/default"
	case "Localhost":
		same = isLocal
		if isLocal && (file == nil || *file != local) {
			c.Forbidden(p.Child("localhostProfile"), system+" profile in annotation and field must match")
		}
	}
	if !same {
		c.Forbidden(p.Child("type"), system+" type in annotation and field must match")
	}
}

func sortedKeys[K ~string, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
