package core

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func storage(size string) corev1.ResourceList {
	return corev1.ResourceList{"storage": resource.MustParse(size)}
}

func newClaim() *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "data"},
		Spec:       corev1.PersistentVolumeClaimSpec{AccessModes: []corev1.PersistentVolumeAccessMode{"ReadWriteOnce"}, Resources: corev1.VolumeResourceRequirements{Requests: storage("1Gi")}},
	}
}

func TestClaimErrors(t *testing.T) {
	type claim = corev1.PersistentVolumeClaim
	runValidate(t, PersistentVolumeClaim, newClaim, []errorCase[*claim]{
		{name: "valid"},
		{"empty", func(c *claim) { c.Spec = corev1.PersistentVolumeClaimSpec{} }, []string{
			"spec.accessModes: Required value: at least 1 access mode is required", "spec.resources[storage]: Required value",
		}},
		{"selector before modes", func(c *claim) {
			c.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{"x", "ReadWriteOncePod", "ReadWriteMany"}
			c.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"a": "-"}}
		}, []string{
			"spec.selector.matchLabels: Invalid value: \"-\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
			`spec.accessModes: Unsupported value: "x": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"`,
			"spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes",
		}},
		{"nothing", func(c *claim) { c.Spec.Resources.Requests = storage("0") }, []string{`spec.resources[storage]: Invalid value: "0": must be greater than zero`}},
		{"names", func(c *claim) {
			c.Spec.StorageClassName, c.Spec.VolumeAttributesClassName, c.Spec.VolumeMode = ptr("A"), ptr("B"), ptr(corev1.PersistentVolumeMode("x"))
		}, []string{
			`spec.storageClassName: Invalid value: "A": ` + subdomainRule,
			`spec.volumeMode: Unsupported value: "x": supported values: "Block", "Filesystem"`,
			`spec.volumeAttributesClassName: Invalid value: "B": ` + subdomainRule,
		}},
		{"data sources", func(c *claim) {
			c.Spec.DataSource = &corev1.TypedLocalObjectReference{}
			c.Spec.DataSourceRef = &corev1.TypedObjectReference{APIGroup: ptr("A"), Kind: "k", Name: "n"}
		}, []string{
			"spec.dataSource.name: Required value", "spec.dataSource.kind: Required value",
			`spec.dataSource: Invalid value: "": must be 'PersistentVolumeClaim' when referencing the default apiGroup`,
			`spec.dataSourceRef.apiGroup: Invalid value: "A": ` + subdomainRule,
			"spec: Invalid value: {}: must match dataSourceRef",
		}},
	})
}

func TestClaimUpdates(t *testing.T) {
	type claim = corev1.PersistentVolumeClaim
	bound := func() *claim {
		c := newClaim()
		c.Spec.VolumeName, c.Spec.StorageClassName, c.Spec.VolumeAttributesClassName = "v", ptr("fast"), ptr("gold")
		c.Status = corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound, Capacity: storage("512Mi"), CurrentVolumeAttributesClassName: ptr("gold")}
		return c
	}
	const spec = "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n"
	runValidateUpdate(t, PersistentVolumeClaim, newClaim, []errorCase[*claim]{
		{"a volume and a class", func(c *claim) { c.Spec.VolumeName, c.Spec.StorageClassName = "v", ptr("fast") }, nil},
		{"size", func(c *claim) { c.Spec.Resources.Requests = storage("2Gi") }, []string{spec +
			"@@ -6,7 +6,7 @@\n  \"Resources\": {\n   \"Limits\": null,\n   \"Requests\": {\n-   \"storage\": \"1Gi\"\n+   \"storage\": \"2Gi\"\n   }\n  },\n  \"VolumeName\": \"\",\n"}},
		{"the old annotation", func(c *claim) { c.Annotations = map[string]string{corev1.BetaStorageClassAnnotation: "fast"} },
			[]string{`metadata.annotations.volume.beta.kubernetes.io/storage-class: Invalid value: "fast": field is immutable`}},
	})
	runValidateUpdate(t, PersistentVolumeClaim, bound, []errorCase[*claim]{
		{"size and attributes", func(c *claim) {
			c.Spec.Resources.Requests, c.Spec.VolumeAttributesClassName = storage("2Gi"), ptr("iron")
		}, nil},
		{"less", func(c *claim) { c.Spec.Resources.Requests = storage("768Mi") }, nil},
		{"less than there is", func(c *claim) { c.Spec.Resources.Requests = storage("512Mi") }, []string{"spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"}},
		{"no attributes", func(c *claim) { c.Spec.VolumeAttributesClassName = nil },
			[]string{"spec.volumeAttributesClassName: Forbidden: update to nil is forbidden when status.currentVolumeAttributesClassName is not nil"}},
		{"empty attributes", func(c *claim) { c.Spec.VolumeAttributesClassName = ptr("") },
			[]string{"spec.volumeAttributesClassName: Forbidden: update to empty string is forbidden when status.currentVolumeAttributesClassName is not nil"}},
		{"mode", func(c *claim) { c.Spec.VolumeMode = ptr(corev1.PersistentVolumeBlock) }, []string{
			spec + "@@ -11,7 +11,7 @@\n  },\n  \"VolumeName\": \"v\",\n  \"StorageClassName\": \"fast\",\n- \"VolumeMode\": \"Filesystem\",\n+ \"VolumeMode\": \"Block\",\n  \"DataSource\": null,\n  \"DataSourceRef\": null,\n  \"VolumeAttributesClassName\": \"gold\"\n",
			`volumeMode: Invalid value: "Block": field is immutable`,
		}},
	})
	annotated := func() *claim {
		c := newClaim()
		c.Annotations = map[string]string{corev1.BetaStorageClassAnnotation: "fast"}
		c.Spec.DataSource = &corev1.TypedLocalObjectReference{APIGroup: ptr("A"), Kind: "k", Name: "n"}
		return c
	}
	runValidateUpdate(t, PersistentVolumeClaim, annotated, []errorCase[*claim]{
		{"the annotation becomes the field", func(c *claim) {
			c.Annotations, c.Spec.StorageClassName = nil, ptr("fast")
			completeDataSources(&c.Spec)
		}, nil},
	})
}

func TestClaimPreparation(t *testing.T) {
	c := newClaim()
	c.Status.AccessModes = c.Spec.AccessModes
	c.Spec.DataSource = &corev1.TypedLocalObjectReference{Kind: "PersistentVolumeClaim", Name: "other"}
	PersistentVolumeClaim.Default(c)
	PersistentVolumeClaim.PrepareCreate(c)
	if c.Status.Phase != "Pending" || c.Status.AccessModes != nil || *c.Spec.VolumeMode != "Filesystem" || c.Spec.DataSourceRef.Name != "other" {
		t.Errorf("after create: %+v", c)
	}
	for _, tt := range []struct {
		name string
		in   func(*corev1.PersistentVolumeClaimSpec)
	}{
		{"another namespace", func(s *corev1.PersistentVolumeClaimSpec) {
			s.DataSourceRef = &corev1.TypedObjectReference{Kind: "PersistentVolumeClaim", Name: "a", Namespace: ptr("b")}
		}},
		{"another kind", func(s *corev1.PersistentVolumeClaimSpec) {
			s.DataSource = &corev1.TypedLocalObjectReference{APIGroup: ptr("example.com"), Kind: "Disk", Name: "a"}
		}},
	} {
		c := newClaim()
		tt.in(&c.Spec)
		if PersistentVolumeClaim.PrepareCreate(c); c.Spec.DataSource != nil || c.Spec.DataSourceRef != nil {
			t.Errorf("%s: %+v", tt.name, c.Spec)
		}
	}
	ref := newClaim()
	ref.Spec.DataSourceRef = &corev1.TypedObjectReference{APIGroup: ptr("example.com"), Kind: "Disk", Name: "a"}
	if PersistentVolumeClaim.PrepareCreate(ref); ref.Spec.DataSource == nil || *ref.Spec.DataSource.APIGroup != "example.com" {
		t.Errorf("a reference alone: %+v", ref.Spec)
	}
	status := newClaim()
	status.Spec.VolumeName, status.Status.Phase = "v", corev1.ClaimBound
	if PersistentVolumeClaim.Subresource("status").Prepare(status, c); status.Spec.VolumeName != "" || status.Status.Phase != "Bound" {
		t.Errorf("after a write of the status: %+v", status)
	}
}

func TestClaimStatusErrors(t *testing.T) {
	c := newClaim()
	c.Spec.AccessModes = nil
	c.Status.Capacity = storage("-1")
	c.Status.AllocatedResourceStatuses = map[corev1.ResourceName]corev1.ClaimResourceStatus{"cpu": "x", "storage": corev1.PersistentVolumeClaimNodeResizePending}
	c.Status.AllocatedResources = corev1.ResourceList{"memory": resource.MustParse("1"), "storage": resource.MustParse("-2"), "a/b": resource.MustParse("1")}
	want := []string{
		"Spec.accessModes: Required value",
		"status.capacity[storage]: Invalid value: -1: must be a valid resource quantity",
		`status.allocatedResourceStatuses: Unsupported value: "cpu": supported values: "storage"`,
		`status.allocatedResourceStatuses: Unsupported value: "cpu": supported values: "ControllerResizeInProgress", "ControllerResizeInfeasible", "NodeResizeInProgress", "NodeResizeInfeasible", "NodeResizePending"`,
		`status.allocatedResources: Unsupported value: "memory": supported values: "storage"`,
		"status.allocatedResources[storage]: Invalid value: -2: must be a valid resource quantity",
	}
	if diff := cmp.Diff(want, texts(PersistentVolumeClaim.Subresource("status").Validate(c, c))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestClaimWarningsAndRow(t *testing.T) {
	now := metav1.NewTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	c := newClaim()
	c.CreationTimestamp = now
	c.Annotations = map[string]string{corev1.BetaStorageClassAnnotation: "fast"}
	c.Spec.Resources.Requests = storage("1.5")
	want := []string{
		`metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated since v1.8; use "storageClassName" attribute instead`,
		`spec.resources.requests[storage]: fractional byte value "1500m" is invalid, must be an integer`,
	}
	if diff := cmp.Diff(want, PersistentVolumeClaim.Warnings(c, nil)); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]any{"data", "", "", "", "", "fast", "<unset>", "0s", "<unset>"}, PersistentVolumeClaim.Row(c, now)); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
	c.Annotations, c.Spec.StorageClassName, c.Spec.VolumeName, c.Spec.VolumeMode, c.DeletionTimestamp = nil, ptr("slow"), "v", ptr(corev1.PersistentVolumeBlock), &now
	c.Status = corev1.PersistentVolumeClaimStatus{Phase: "Bound", Capacity: storage("1Gi"), AccessModes: []corev1.PersistentVolumeAccessMode{"ReadWriteMany", "ReadWriteOnce", "ReadWriteMany"}}
	if diff := cmp.Diff([]any{"data", "Terminating", "v", "1Gi", "RWO,RWX", "slow", "<unset>", "0s", "Block"}, PersistentVolumeClaim.Row(c, now)); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
}
