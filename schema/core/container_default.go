package core

import (
	"strings"

	"github.com/distribution/reference"
	corev1 "k8s.io/api/core/v1"
)

func defaultContainer(c *corev1.Container) {
	if c.ImagePullPolicy == "" {
		c.ImagePullPolicy = pullPolicyOf(c.Image)
	}
	if c.TerminationMessagePath == "" {
		c.TerminationMessagePath = corev1.TerminationMessagePathDefault
	}
	if c.TerminationMessagePolicy == "" {
		c.TerminationMessagePolicy = corev1.TerminationMessageReadFile
	}
	for i := range c.Ports {
		if c.Ports[i].Protocol == "" {
			c.Ports[i].Protocol = corev1.ProtocolTCP
		}
	}
	for i := range c.Env {
		defaultEnv(&c.Env[i])
	}
	roundResources(c.Resources.Limits)
	roundResources(c.Resources.Requests)
	defaultProbe(c.LivenessProbe)
	defaultProbe(c.ReadinessProbe)
	defaultProbe(c.StartupProbe)
	if c.Lifecycle != nil {
		for _, hook := range []*corev1.LifecycleHandler{c.Lifecycle.PostStart, c.Lifecycle.PreStop} {
			if hook != nil {
				defaultHTTPGet(hook.HTTPGet)
			}
		}
	}
}

// pullPolicyOf is Always for an image without a fixed version: tagged latest, or neither tagged nor pinned by
// digest. A reference that does not parse is IfNotPresent; pulling it fails in either case.
func pullPolicyOf(image string) corev1.PullPolicy {
	if tag, ok := plainTag(image); ok {
		if tag == "" || tag == "latest" {
			return corev1.PullAlways
		}
		return corev1.PullIfNotPresent
	}
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return corev1.PullIfNotPresent
	}
	tagged, hasTag := named.(reference.Tagged)
	_, hasDigest := named.(reference.Digested)
	if hasTag && tagged.Tag() == "latest" || !hasTag && !hasDigest {
		return corev1.PullAlways
	}
	return corev1.PullIfNotPresent
}

// plainTag is the tag of an image as most are written, "registry.k8s.io/pause:3.10"; the regular expression that all forms
// need takes as long as the rest of a pod's defaults.
func plainTag(image string) (tag string, ok bool) {
	name, tag, tagged := strings.Cut(image, ":")
	if tagged && !plainWord(tag, func(c byte) bool { return c == '_' || c == '.' || c == '-' || c >= 'A' && c <= 'Z' }) {
		return "", false
	}
	separator := func(c byte) bool { return c == '.' || c == '-' || c == '/' }
	for i := 1; i < len(name); i++ {
		if separator(name[i-1]) && separator(name[i]) {
			return "", false
		}
	}
	return tag, plainWord(name, separator) && !separator(name[len(name)-1])
}

// plainWord is less than 64 small letters, digits and others, one of the former first.
func plainWord(s string, other func(c byte) bool) bool {
	if len(s) == 0 || len(s) >= 64 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && (i == 0 || !other(c)) {
			return false
		}
	}
	return true
}

func defaultEnv(e *corev1.EnvVar) {
	if e.ValueFrom == nil {
		return
	}
	defaultFieldRef(e.ValueFrom.FieldRef)
	if f := e.ValueFrom.FileKeyRef; f != nil && f.Optional == nil {
		no := false
		f.Optional = &no
	}
}

func defaultFieldRef(f *corev1.ObjectFieldSelector) {
	if f != nil && f.APIVersion == "" {
		f.APIVersion = "v1"
	}
}

func defaultProbe(p *corev1.Probe) {
	if p == nil {
		return
	}
	setIfZero(&p.TimeoutSeconds, 1)
	setIfZero(&p.PeriodSeconds, 10)
	setIfZero(&p.SuccessThreshold, 1)
	setIfZero(&p.FailureThreshold, 3)
	defaultHTTPGet(p.HTTPGet)
	if p.GRPC != nil && p.GRPC.Service == nil {
		none := ""
		p.GRPC.Service = &none
	}
}

func defaultHTTPGet(h *corev1.HTTPGetAction) {
	if h == nil {
		return
	}
	setIfZero(&h.Path, "/")
	setIfZero(&h.Scheme, corev1.URISchemeHTTP)
}

func setIfZero[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// SetIfNil sets a field that is unset.
func SetIfNil[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}
