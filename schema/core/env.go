package core

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/pods"
)

var (
	// envFields and volumeFields are the fields of its pod that a variable or a file can hold, sorted.
	envFields = []string{"metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
		"status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"}
	volumeFields = []string{"metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"}
	// selectableFields are the fields a reference of API version v1 may name at all.
	selectableFields = []string{"metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid",
		"spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName", "spec.schedulerName",
		"status.phase", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"}
	resourceFields = []string{"limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"}
)

func (c *podCheck) checkEnv(vars []corev1.EnvVar, list *field.Path) {
	for i := range vars {
		v, p := &vars[i], list.Index(i)
		if v.Name == "" {
			c.Required(p.Child("name"), "")
		} else {
			for _, m := range validation.IsRelaxedEnvVarName(v.Name) {
				c.Invalid(p.Child("name"), v.Name, m)
			}
		}
		if v.ValueFrom != nil {
			c.checkEnvSource(v, p.Child("valueFrom"))
		}
	}
}

func (c *podCheck) checkEnvSource(v *corev1.EnvVar, p *field.Path) {
	from, n := v.ValueFrom, 0
	if from.FieldRef != nil {
		n++
		c.checkFieldRef(from.FieldRef, envFields, p.Child("fieldRef"))
	}
	if from.ResourceFieldRef != nil {
		n++
		c.checkResourceRef(from.ResourceFieldRef, p.Child("resourceFieldRef"), false)
	}
	if r := from.ConfigMapKeyRef; r != nil {
		n++
		c.checkKeyRef(r.Name, r.Key, p.Child("configMapKeyRef"))
	}
	if r := from.SecretKeyRef; r != nil {
		n++
		c.checkKeyRef(r.Name, r.Key, p.Child("secretKeyRef"))
	}
	if from.FileKeyRef != nil {
		n++
		c.checkFileKey(from.FileKeyRef, p.Child("fileKeyRef"))
	}
	switch {
	case n == 0:
		c.Invalid(p, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`")
	case v.Value != "":
		c.Invalid(p, "", "may not be specified when `value` is not empty")
	case n > 1:
		c.Invalid(p, "", "may not have more than one field specified at a time")
	}
}

func (c *podCheck) checkKeyRef(name, key string, p *field.Path) {
	c.Subdomain(p.Child("name"), name)
	if c.Set(p.Child("key"), key) {
		c.Each(p.Child("key"), key, validation.IsConfigMapKey(key))
	}
}

func (c *podCheck) checkFileKey(r *corev1.FileKeySelector, p *field.Path) {
	if c.Set(p.Child("key"), r.Key) {
		c.Each(p.Child("key"), r.Key, validation.IsRelaxedEnvVarName(r.Key))
	}
	if c.Set(p.Child("volumeName"), r.VolumeName) {
		c.Label(p.Child("volumeName"), r.VolumeName)
	}
	if c.Set(p.Child("path"), r.Path) {
		c.checkNoBacksteps(r.Path, p.Child("path"))
	}
}

// checkEnvFiles checks that files that variables come from are in an emptyDir.
func (c *podCheck) checkEnvFiles(p *field.Path) {
	var volumes map[string]*corev1.Volume // the first of each name
	for at, ctr := range pods.ContainersWithPath(c.spec, p) {
		for i := range ctr.Env {
			from := ctr.Env[i].ValueFrom
			if from == nil || from.FileKeyRef == nil {
				continue
			}
			name := from.FileKeyRef.VolumeName
			volume := at.Child("env").Index(i).Child("valueFrom", "fileKeyRef", "volumeName")
			if volumes == nil {
				volumes = make(map[string]*corev1.Volume, len(c.spec.Volumes))
				for j := len(c.spec.Volumes) - 1; j >= 0; j-- {
					volumes[c.spec.Volumes[j].Name] = &c.spec.Volumes[j]
				}
			}
			if v := volumes[name]; v == nil {
				c.NotFound(volume, name)
			} else if v.EmptyDir == nil {
				c.Invalid(volume, name, "referenced volume must be of type emptyDir")
			}
		}
	}
}

// checkFieldRef checks a reference to a field of the pod, metadata.labels['key'] among them.
func (c *podCheck) checkFieldRef(r *corev1.ObjectFieldSelector, allowed []string, p *field.Path) {
	if !c.Set(p.Child("apiVersion"), r.APIVersion) || !c.Set(p.Child("fieldPath"), r.FieldPath) {
		return
	}
	path, key, subscript := splitSubscript(r.FieldPath)
	switch {
	case r.APIVersion != "v1":
		c.Invalid(p.Child("fieldPath"), r.FieldPath, "error converting fieldPath: unsupported pod version: "+r.APIVersion)
	case subscript && path == "metadata.annotations":
		c.Qualified(p, strings.ToLower(key))
	case subscript && path == "metadata.labels":
		c.Qualified(p, key)
	case subscript:
		c.Invalid(p.Child("fieldPath"), r.FieldPath, "error converting fieldPath: field label does not support subscript: "+r.FieldPath)
	default:
		if path == "spec.host" { // the name of spec.nodeName before v1
			path = "spec.nodeName"
		}
		if !slices.Contains(selectableFields, path) {
			c.Invalid(p.Child("fieldPath"), r.FieldPath, "error converting fieldPath: field label not supported: "+r.FieldPath)
		} else if !slices.Contains(allowed, path) {
			c.Add(field.NotSupported(p.Child("fieldPath"), path, allowed))
		}
	}
}

// splitSubscript takes apart metadata.labels['key'].
func splitSubscript(path string) (field, key string, ok bool) {
	inner, ok := strings.CutSuffix(path, "']")
	if !ok {
		return path, "", false
	}
	field, key, ok = strings.Cut(inner, "['")
	if !ok || field == "" {
		return path, "", false
	}
	return field, key, true
}

func (c *podCheck) checkResourceRef(r *corev1.ResourceFieldSelector, p *field.Path, volume bool) {
	hugePages := strings.HasPrefix(r.Resource, "limits.hugepages-") || strings.HasPrefix(r.Resource, "requests.hugepages-")
	switch {
	case volume && r.ContainerName == "":
		c.Required(p.Child("containerName"), "")
	case r.Resource == "":
		c.Required(p.Child("resource"), "")
	case !hugePages && !slices.Contains(resourceFields, r.Resource):
		c.Add(field.NotSupported(p.Child("resource"), r.Resource, resourceFields))
	}
	if r.Divisor.IsZero() {
		return
	}
	_, resource, _ := strings.Cut(r.Resource, ".")
	const sizes = "1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei"
	units, list, called := strings.Split(sizes, ", "), sizes, resource
	switch {
	case r.Resource == "limits.cpu" || r.Resource == "requests.cpu":
		units, list = []string{"1m", "1"}, "1m and 1"
	case r.Resource == "limits.memory" || r.Resource == "requests.memory":
	case r.Resource == "limits.ephemeral-storage" || r.Resource == "requests.ephemeral-storage":
		called = "local ephemeral storage"
	case hugePages:
		called = "hugepages"
	default:
		return
	}
	if !slices.Contains(units, r.Divisor.String()) {
		c.Invalid(p.Child("divisor"), r.Resource, fmt.Sprintf("only divisor's values %s are supported with the %s resource", list, called))
	}
}

func (c *podCheck) checkEnvFrom(sources []corev1.EnvFromSource, list *field.Path) {
	for i := range sources {
		s, p, n := &sources[i], list.Index(i), 0
		if s.Prefix != "" {
			c.Each(p.Child("prefix"), s.Prefix, validation.IsRelaxedEnvVarName(s.Prefix))
		}
		if s.ConfigMapRef != nil {
			n++
			c.checkEnvFromName(s.ConfigMapRef.Name, p.Child("configMapRef", "name"))
		}
		if s.SecretRef != nil {
			n++
			c.checkEnvFromName(s.SecretRef.Name, p.Child("secretRef", "name"))
		}
		switch {
		case n == 0:
			c.Invalid(list, "", "must specify one of: `configMapRef` or `secretRef`")
		case n > 1:
			c.Invalid(list, "", "may not have more than one field specified at a time")
		}
	}
}

// checkEnvFromName lets a name end in a dash, as Kubernetes does.
func (c *podCheck) checkEnvFromName(name string, p *field.Path) {
	if c.Set(p, name) {
		c.Each(p, name, nameIsSubdomain(name, true))
	}
}
