// Package env makes the environment variables of a container, as its pod's spec describes them, and expands $(NAME) in its command line.
// It is pure: what is not in the pod comes from Sources.
package env

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Sources is where variables come from besides the pod itself.
type Sources struct {
	// ConfigMap and Secret return an object of the pod's namespace; ok is false where there is none.
	ConfigMap func(name string) (c *corev1.ConfigMap, ok bool, err error)
	Secret    func(name string) (s *corev1.Secret, ok bool, err error)
	// Services are the variables of services.
	Services map[string]string
	// NodeIPs and PodIPs are one address for each family; without any the value is empty.
	NodeIPs, PodIPs []netip.Addr
	// Allocatable stands in for limits that are not set.
	Allocatable corev1.ResourceList
}

// Environment is a container's variables: order is that of the spec, values are final.
type Environment struct {
	names  []string
	values map[string]string
}

func (e *Environment) set(name, value string) {
	if _, ok := e.values[name]; !ok {
		e.names = append(e.names, name)
	}
	e.values[name] = value
}

// Get is a variable's value; ok is false where there is none.
func (e *Environment) Get(name string) (value string, ok bool) {
	value, ok = e.values[name]
	return value, ok
}

// List is NAME=value, sorted where it comes from maps, else in the spec's order.
func (e *Environment) List() []string {
	out := make([]string, len(e.names))
	for i, n := range e.names {
		out[i] = n + "=" + e.values[n]
	}
	return out
}

// Resolve makes the variables of a container: envFrom, then env, which may refer to what stands before it; services'
// variables where nothing else has their name. Its errors are worded for the container's status.
func Resolve(pod *corev1.Pod, c *corev1.Container, src Sources) (*Environment, error) {
	e := &Environment{values: map[string]string{}}
	for _, from := range c.EnvFrom {
		if err := e.addFrom(from, src); err != nil {
			return nil, err
		}
	}
	lookup := func(name string) (string, bool) {
		if v, ok := e.Get(name); ok {
			return v, true
		}
		v, ok := src.Services[name]
		return v, ok
	}
	for _, v := range c.Env {
		value, ok, err := envValue(pod, c, v, src, lookup)
		if err != nil {
			return nil, err
		}
		if ok {
			e.set(v.Name, value)
		}
	}
	names := make([]string, 0, len(src.Services))
	for name := range src.Services {
		if _, ok := e.Get(name); !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		e.set(name, src.Services[name])
	}
	return e, nil
}

// addFrom adds every valid key of a config map or secret.
func (e *Environment) addFrom(from corev1.EnvFromSource, src Sources) error {
	data := map[string]string{}
	switch {
	case from.ConfigMapRef != nil:
		m, ok, err := src.ConfigMap(from.ConfigMapRef.Name)
		if err != nil {
			return err
		}
		if !ok {
			return missing("configmap", from.ConfigMapRef.Name, from.ConfigMapRef.Optional)
		}
		for k, v := range m.Data {
			data[k] = v
		}
	case from.SecretRef != nil:
		s, ok, err := src.Secret(from.SecretRef.Name)
		if err != nil {
			return err
		}
		if !ok {
			return missing("secret", from.SecretRef.Name, from.SecretRef.Optional)
		}
		for k, v := range s.Data {
			data[k] = string(v)
		}
	}
	keys := make([]string, 0, len(data))
	for k := range data {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		if name := from.Prefix + k; len(validation.IsRelaxedEnvVarName(name)) == 0 {
			e.set(name, data[k])
		}
	}
	return nil
}

// missing is nil for an optional source.
func missing(kind, name string, optional *bool) error {
	if optional != nil && *optional {
		return nil
	}
	return fmt.Errorf("%s %q not found", kind, name)
}

// envValue is one variable's value; ok is false for an optional source that is not there.
func envValue(pod *corev1.Pod, c *corev1.Container, v corev1.EnvVar, src Sources, lookup func(string) (string, bool)) (value string, ok bool, err error) {
	f := v.ValueFrom
	switch {
	case v.Value != "" || f == nil:
		return Expand(v.Value, lookup), true, nil
	case f.FieldRef != nil:
		value, err = FieldValue(pod, f.FieldRef.FieldPath, src)
		return value, err == nil, err
	case f.ResourceFieldRef != nil:
		value, err = ResourceValue(pod, c, f.ResourceFieldRef, src.Allocatable)
		return value, err == nil, err
	case f.ConfigMapKeyRef != nil:
		return configMapValue(pod, f.ConfigMapKeyRef, src)
	case f.SecretKeyRef != nil:
		return secretValue(pod, f.SecretKeyRef, src)
	}
	return "", false, fmt.Errorf("environment variable %q has a source that is not supported", v.Name)
}

func configMapValue(pod *corev1.Pod, ref *corev1.ConfigMapKeySelector, src Sources) (string, bool, error) {
	m, ok, err := src.ConfigMap(ref.Name)
	if err != nil {
		return "", false, err
	}
	if !ok {
		return "", false, missing("configmap", ref.Name, ref.Optional)
	}
	if v, ok := m.Data[ref.Key]; ok {
		return v, true, nil
	}
	if ref.Optional != nil && *ref.Optional {
		return "", false, nil
	}
	return "", false, fmt.Errorf("couldn't find key %v in ConfigMap %v/%v", ref.Key, pod.Namespace, ref.Name)
}

func secretValue(pod *corev1.Pod, ref *corev1.SecretKeySelector, src Sources) (string, bool, error) {
	s, ok, err := src.Secret(ref.Name)
	if err != nil {
		return "", false, err
	}
	if !ok {
		return "", false, missing("secret", ref.Name, ref.Optional)
	}
	if v, ok := s.Data[ref.Key]; ok {
		return string(v), true, nil
	}
	if ref.Optional != nil && *ref.Optional {
		return "", false, nil
	}
	return "", false, fmt.Errorf("couldn't find key %v in Secret %v/%v", ref.Key, pod.Namespace, ref.Name)
}

// FieldValue is a field of the pod, as fieldRef names it.
func FieldValue(pod *corev1.Pod, path string, src Sources) (string, error) {
	if base, key, ok := subscript(path); ok {
		switch base {
		case "metadata.labels":
			return pod.Labels[key], nil
		case "metadata.annotations":
			return pod.Annotations[key], nil
		}
	}
	switch path {
	case "metadata.name":
		return pod.Name, nil
	case "metadata.namespace":
		return pod.Namespace, nil
	case "metadata.uid":
		return string(pod.UID), nil
	case "spec.nodeName":
		return pod.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return pod.Spec.ServiceAccountName, nil
	case "status.hostIP":
		return firstText(src.NodeIPs), nil
	case "status.hostIPs":
		return texts(src.NodeIPs), nil
	case "status.podIP":
		return firstText(src.PodIPs), nil
	case "status.podIPs":
		return texts(src.PodIPs), nil
	}
	return "", fmt.Errorf("unsupported fieldPath: %v", path)
}

func firstText(addrs []netip.Addr) string { return texts(addrs[:min(1, len(addrs))]) }

// texts joins addresses by commas.
func texts(addrs []netip.Addr) string {
	out := make([]string, 0, len(addrs))
	for _, a := range addrs {
		out = append(out, a.String())
	}
	return strings.Join(out, ",")
}

// subscript takes metadata.labels['key'] apart.
func subscript(path string) (base, key string, ok bool) {
	base, rest, ok := strings.Cut(path, "['")
	if !ok || !strings.HasSuffix(rest, "']") {
		return "", "", false
	}
	return base, strings.TrimSuffix(rest, "']"), true
}
