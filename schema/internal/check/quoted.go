package check

import (
	"encoding/json"
	"reflect"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// Kubernetes validates objects in an internal form, which its errors quote: the names of members are those of Go's fields, all are there,
// and some are in another place than in v1.

// Quoted is a value that an error quotes as Kubernetes does; v itself where that makes no difference. Its JSON is made when the text is, and
// it is no value to compare.
func Quoted(v any) any {
	if v == nil || !holdsAPI(reflect.TypeOf(v)) {
		return v
	}
	return quotedValue{v}
}

type quotedValue struct{ v any }

// MarshalJSON is what an error calls when its text is made.
func (f quotedValue) MarshalJSON() ([]byte, error) { return appendQuoted(nil, reflect.ValueOf(f.v)) }

func holdsAPI(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return t.Kind() == reflect.Struct && strings.HasPrefix(t.PkgPath(), "k8s.io/api/")
}

func appendQuoted(b []byte, v reflect.Value) ([]byte, error) {
	t := v.Type()
	switch {
	case !holdsAPI(t):
	case t.Kind() == reflect.Struct:
		m := members{b: append(b, '{')}
		m.all(v)
		return append(m.b, '}'), m.err
	case v.IsNil():
	case t.Kind() == reflect.Pointer:
		return appendQuoted(b, v.Elem())
	default:
		var err error
		b = append(b, '[')
		for i := 0; i < v.Len() && err == nil; i++ {
			if i > 0 {
				b = append(b, ',')
			}
			b, err = appendQuoted(b, v.Index(i))
		}
		return append(b, ']'), err
	}
	text, err := json.Marshal(v.Interface())
	return append(b, text...), err
}

// members writes the members of one object.
type members struct {
	b    []byte
	some bool
	err  error
}

func (m *members) comma() {
	if m.some {
		m.b = append(m.b, ',')
	}
	m.some = true
}

func (m *members) all(v reflect.Value) {
	switch of := v.Interface().(type) {
	case corev1.VolumeSource:
		m.named(v, volumeSources...)
		return
	case corev1.PersistentVolumeSource:
		m.named(v, persistentVolumeSources...)
		return
	case corev1.PodSpec:
		m.podSpec(v, &of)
		return
	case appsv1.RollingUpdateStatefulSetStrategy:
		if of.Partition == nil { // no pointer in the internal form
			of.Partition = new(int32)
			v = reflect.ValueOf(of)
		}
	}
	for i := range v.NumField() {
		m.field(v.Type().Field(i), v.Field(i))
	}
}

func (m *members) named(v reflect.Value, names ...string) {
	for _, name := range names {
		f, _ := v.Type().FieldByName(name)
		m.field(f, v.FieldByIndex(f.Index))
	}
}

func (m *members) field(f reflect.StructField, v reflect.Value) {
	if m.err != nil {
		return
	}
	if f.Anonymous && holdsAPI(f.Type) {
		m.all(v)
		return
	}
	if f.Anonymous { // metadata, which has the same names in both forms
		text, err := json.Marshal(v.Interface())
		if m.err = err; len(text) > len("{}") {
			m.comma()
			m.b = append(m.b, text[1:len(text)-1]...)
		}
		return
	}
	m.comma()
	m.b = append(append(append(m.b, '"'), f.Name...), `":`...)
	m.b, m.err = appendQuoted(m.b, v)
}

// The sources of volumes in the order of the internal form.
var (
	persistentVolumeSources = []string{
		"GCEPersistentDisk", "AWSElasticBlockStore", "HostPath", "Glusterfs", "NFS", "RBD", "Quobyte", "ISCSI", "FlexVolume", "Cinder", "CephFS", "FC", "Flocker",
		"AzureFile", "VsphereVolume", "AzureDisk", "PhotonPersistentDisk", "PortworxVolume", "ScaleIO", "Local", "StorageOS", "CSI",
	}
	volumeSources = []string{
		"HostPath", "EmptyDir", "GCEPersistentDisk", "AWSElasticBlockStore", "GitRepo", "Secret", "NFS", "ISCSI", "Glusterfs", "PersistentVolumeClaim", "RBD",
		"Quobyte", "FlexVolume", "Cinder", "CephFS", "Flocker", "DownwardAPI", "FC", "AzureFile", "ConfigMap", "VsphereVolume", "AzureDisk", "PhotonPersistentDisk",
		"Projected", "PortworxVolume", "ScaleIO", "StorageOS", "CSI", "Ephemeral", "Image",
	}
)

// inSecurityContext are the members of a pod's spec that the internal form has in the security context.
var inSecurityContext = []string{"HostNetwork", "HostPID", "HostIPC", "ShareProcessNamespace", "HostUsers"}

var securityContext = []string{
	"SELinuxOptions", "WindowsOptions", "RunAsUser", "RunAsGroup", "RunAsNonRoot", "SupplementalGroups", "SupplementalGroupsPolicy", "FSGroup", "FSGroupChangePolicy",
	"Sysctls", "SeccompProfile", "AppArmorProfile", "SELinuxChangePolicy",
}

func (m *members) podSpec(v reflect.Value, spec *corev1.PodSpec) {
	moved := map[string]bool{"DeprecatedServiceAccount": true}
	for _, name := range inSecurityContext {
		moved[name] = true
	}
	for i := range v.NumField() {
		switch f := v.Type().Field(i); {
		case moved[f.Name]:
		case f.Name == "SecurityContext" && spec.SecurityContext != nil:
			m.comma()
			in := members{b: append(m.b, `"SecurityContext":{`...)}
			in.named(v, inSecurityContext...)
			in.named(reflect.ValueOf(*spec.SecurityContext), securityContext...)
			m.b, m.err = append(in.b, '}'), in.err
		default:
			m.field(f, v.Field(i))
		}
	}
}
