package check

import (
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func TestQuoted(t *testing.T) {
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}}}
	template.Spec.HostPID, template.Spec.SecurityContext = true, &corev1.PodSecurityContext{}
	for _, tt := range []struct {
		name string
		in   any
		want string
	}{
		{"no struct", map[string]string{"a": "b"}, `{"a":"b"}`},
		{"nil", (*batchv1.SuccessPolicy)(nil), "null"},
		{"metadata", &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}, `{"matchLabels":{"a":"b"}}`},
		{"nested", batchv1.SuccessPolicy{Rules: []batchv1.SuccessPolicyRule{{}}}, `{"Rules":[{"SucceededIndexes":null,"SucceededCount":null}]}`},
		{"list", []corev1.PodResourceClaim{{Name: "a"}}, `[{"Name":"a","ResourceClaimName":null,"ResourceClaimTemplateName":null}]`},
		{"a pointer", &corev1.HostPathVolumeSource{Path: "/a", Type: new(corev1.HostPathDirectory)}, `{"Path":"/a","Type":"Directory"}`},
		{"lists", []corev1.TopologySelectorTerm{{}, {MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{{Key: "a"}}}},
			`[{"MatchLabelExpressions":null},{"MatchLabelExpressions":[{"Key":"a","Values":null}]}]`},
		{"other modules' types", corev1.PersistentVolumeClaimSpec{
			Selector:  &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{"storage": resource.MustParse("1Gi")}},
		}, `{"AccessModes":null,"Selector":{"matchLabels":{"a":"b"}},"Resources":{"Limits":null,"Requests":{"storage":"1Gi"}},"VolumeName":"","StorageClassName":null,"VolumeMode":null,"DataSource":null,"DataSourceRef":null,"VolumeAttributesClassName":null}`},
		{"persistent volume", corev1.PersistentVolumeSource{}, `{"GCEPersistentDisk":null,"AWSElasticBlockStore":null,"HostPath":null,"Glusterfs":null,"NFS":null,"RBD":null,"Quobyte":null,"ISCSI":null,"FlexVolume":null,"Cinder":null,"CephFS":null,"FC":null,"Flocker":null,"AzureFile":null,"VsphereVolume":null,"AzureDisk":null,"PhotonPersistentDisk":null,"PortworxVolume":null,"ScaleIO":null,"Local":null,"StorageOS":null,"CSI":null}`},
		{"embedded", corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "a"}, Key: "k"}, `{"Name":"a","Key":"k","Optional":null}`},
		{"template", &template, `{"labels":{"a":"b"},"Spec":{"Volumes":null,"InitContainers":null,"Containers":null,"EphemeralContainers":null,"RestartPolicy":"",` +
			`"TerminationGracePeriodSeconds":null,"ActiveDeadlineSeconds":null,"DNSPolicy":"","NodeSelector":null,"ServiceAccountName":"","AutomountServiceAccountToken":null,"NodeName":"",` +
			`"SecurityContext":{"HostNetwork":false,"HostPID":true,"HostIPC":false,"ShareProcessNamespace":null,"HostUsers":null,"SELinuxOptions":null,"WindowsOptions":null,"RunAsUser":null,` +
			`"RunAsGroup":null,"RunAsNonRoot":null,"SupplementalGroups":null,"SupplementalGroupsPolicy":null,"FSGroup":null,"FSGroupChangePolicy":null,"Sysctls":null,"SeccompProfile":null,` +
			`"AppArmorProfile":null,"SELinuxChangePolicy":null},"ImagePullSecrets":null,"Hostname":"","Subdomain":"","Affinity":null,"SchedulerName":"","Tolerations":null,"HostAliases":null,` +
			`"PriorityClassName":"","Priority":null,"DNSConfig":null,"ReadinessGates":null,"RuntimeClassName":null,"EnableServiceLinks":null,"PreemptionPolicy":null,"Overhead":null,` +
			`"TopologySpreadConstraints":null,"SetHostnameAsFQDN":null,"OS":null,"SchedulingGates":null,"ResourceClaims":null,"Resources":null,"HostnameOverride":null,"SchedulingGroup":null}}`},
		{"volume", corev1.Volume{Name: "a"}, `{"Name":"a","HostPath":null,"EmptyDir":null,"GCEPersistentDisk":null,"AWSElasticBlockStore":null,"GitRepo":null,"Secret":null,"NFS":null,"ISCSI":null,` +
			`"Glusterfs":null,"PersistentVolumeClaim":null,"RBD":null,"Quobyte":null,"FlexVolume":null,"Cinder":null,"CephFS":null,"Flocker":null,"DownwardAPI":null,"FC":null,"AzureFile":null,` +
			`"ConfigMap":null,"VsphereVolume":null,"AzureDisk":null,"PhotonPersistentDisk":null,"Projected":null,"PortworxVolume":null,"ScaleIO":null,"StorageOS":null,"CSI":null,"Ephemeral":null,"Image":null}`},
	} {
		if got, want := field.Invalid(field.NewPath("x"), Quoted(tt.in), "bad").Error(), "x: Invalid value: "+tt.want+": bad"; got != want {
			t.Errorf("%s:\n%s\nwant\n%s", tt.name, got, want)
		}
	}
}
