package check

import (
	"encoding/json"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestInternalValue(t *testing.T) {
	mode := corev1.HostPathDirectory
	for _, tt := range []struct {
		name string
		in   any
		want string
	}{
		{"nothing", nil, "null"},
		{"no API type", map[string]int{"a": 1}, `{"a":1}`},
		{"nil", (*corev1.SecretReference)(nil), "null"},
		{"pointers", &corev1.HostPathVolumeSource{Path: "/a", Type: &mode}, `{"Path":"/a","Type":"Directory"}`},
		{"lists", []corev1.TopologySelectorTerm{{}, {MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{{Key: "a"}}}},
			`[{"MatchLabelExpressions":null},{"MatchLabelExpressions":[{"Key":"a","Values":null}]}]`},
		{"other modules' types", corev1.PersistentVolumeClaimSpec{
			Selector:  &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{"storage": resource.MustParse("1Gi")}},
		}, `{"AccessModes":null,"Selector":{"matchLabels":{"a":"b"}},"Resources":{"Limits":null,"Requests":{"storage":"1Gi"}},"VolumeName":"","StorageClassName":null,"VolumeMode":null,"DataSource":null,"DataSourceRef":null,"VolumeAttributesClassName":null}`},
		{"an embedded struct", corev1.EnvFromSource{}, `{"Prefix":"","ConfigMapRef":null,"SecretRef":null}`},
		{"embedded fields", corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "a"}}, `{"Name":"a","Optional":null}`},
		{"another order", corev1.PersistentVolumeSource{}, `{"GCEPersistentDisk":null,"AWSElasticBlockStore":null,"HostPath":null,"Glusterfs":null,"NFS":null,"RBD":null,"Quobyte":null,"ISCSI":null,"FlexVolume":null,"Cinder":null,"CephFS":null,"FC":null,"Flocker":null,"AzureFile":null,"VsphereVolume":null,"AzureDisk":null,"PhotonPersistentDisk":null,"PortworxVolume":null,"ScaleIO":null,"Local":null,"StorageOS":null,"CSI":null}`},
	} {
		if got, err := json.Marshal(InternalValue(tt.in)); err != nil || string(got) != tt.want {
			t.Errorf("%s: %s, %v, want %s", tt.name, got, err, tt.want)
		}
	}
}
