package kubelet

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// envSources is where environment variables come from besides the pod itself.
type envSources struct {
	// configMap and secret return an object of the pod's namespace; ok is false where there is none.
	configMap func(name string) (c *corev1.ConfigMap, ok bool, err error)
	secret    func(name string) (s *corev1.Secret, ok bool, err error)
	// services are the variables of services.
	services map[string]string
	nodeIP   netip.Addr
	podIP    netip.Addr
	// allocatable stands in for limits that are not set.
	allocatable corev1.ResourceList
}

// environment is a container's variables: order is that of the spec, values are final.
type environment struct {
	names  []string
	values map[string]string
}

func (e *environment) set(name, value string) {
	if _, ok := e.values[name]; !ok {
		e.names = append(e.names, name)
	}
	e.values[name] = value
}

func (e *environment) get(name string) (string, bool) {
	v, ok := e.values[name]
	return v, ok
}

// list is NAME=value, sorted where it comes from maps, else in the spec's order.
func (e *environment) list() []string {
	out := make([]string, len(e.names))
	for i, n := range e.names {
		out[i] = n + "=" + e.values[n]
	}
	return out
}

// resolveEnv makes the variables of a container: envFrom, then env, which may refer to what stands before it; services'
// variables where nothing else has their name. Its errors are worded for the container's status.
func resolveEnv(pod *corev1.Pod, c *corev1.Container, src envSources) (*environment, error) {
	e := &environment{values: map[string]string{}}
	for _, from := range c.EnvFrom {
		if err := e.addFrom(from, src); err != nil {
			return nil, err
		}
	}
	lookup := func(name string) (string, bool) {
		if v, ok := e.get(name); ok {
			return v, true
		}
		v, ok := src.services[name]
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
	names := make([]string, 0, len(src.services))
	for name := range src.services {
		if _, ok := e.get(name); !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		e.set(name, src.services[name])
	}
	return e, nil
}

// addFrom adds every valid key of a config map or secret.
func (e *environment) addFrom(from corev1.EnvFromSource, src envSources) error {
	data := map[string]string{}
	switch {
	case from.ConfigMapRef != nil:
		m, ok, err := src.configMap(from.ConfigMapRef.Name)
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
		s, ok, err := src.secret(from.SecretRef.Name)
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
func envValue(pod *corev1.Pod, c *corev1.Container, v corev1.EnvVar, src envSources, lookup func(string) (string, bool)) (value string, ok bool, err error) {
	f := v.ValueFrom
	switch {
	case v.Value != "" || f == nil:
		return expand(v.Value, lookup), true, nil
	case f.FieldRef != nil:
		value, err = fieldValue(pod, f.FieldRef.FieldPath, src)
		return value, err == nil, err
	case f.ResourceFieldRef != nil:
		value, err = resourceValue(pod, c, f.ResourceFieldRef, src.allocatable)
		return value, err == nil, err
	case f.ConfigMapKeyRef != nil:
		return configMapValue(pod, f.ConfigMapKeyRef, src)
	case f.SecretKeyRef != nil:
		return secretValue(pod, f.SecretKeyRef, src)
	}
	return "", false, fmt.Errorf("environment variable %q has a source that is not supported", v.Name)
}

func configMapValue(pod *corev1.Pod, ref *corev1.ConfigMapKeySelector, src envSources) (string, bool, error) {
	m, ok, err := src.configMap(ref.Name)
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

func secretValue(pod *corev1.Pod, ref *corev1.SecretKeySelector, src envSources) (string, bool, error) {
	s, ok, err := src.secret(ref.Name)
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

// fieldValue is a field of the pod, as fieldRef names it.
func fieldValue(pod *corev1.Pod, path string, src envSources) (string, error) {
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
	case "status.hostIP", "status.hostIPs":
		return addrText(src.nodeIP), nil
	case "status.podIP", "status.podIPs":
		return addrText(src.podIP), nil
	}
	return "", fmt.Errorf("unsupported fieldPath: %v", path)
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// subscript takes metadata.labels['key'] apart.
func subscript(path string) (base, key string, ok bool) {
	base, rest, ok := strings.Cut(path, "['")
	if !ok || !strings.HasSuffix(rest, "']") {
		return "", "", false
	}
	return base, strings.TrimSuffix(rest, "']"), true
}
