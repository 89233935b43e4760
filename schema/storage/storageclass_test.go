package storage

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema/internal/checktest"
)

const (
	subdomainRule = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
	nameRule      = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)

var now = metav1.NewTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))

func ptr[T any](v T) *T { return &v }

func newClass() *storagev1.StorageClass {
	return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast", CreationTimestamp: now}, Provisioner: "example.com/disk", Parameters: map[string]string{"a": "b"}}
}

func term(key string, values ...string) corev1.TopologySelectorTerm {
	return corev1.TopologySelectorTerm{MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{{Key: key, Values: values}}}
}

func TestStorageClassErrors(t *testing.T) {
	type class = storagev1.StorageClass
	const topologies = "allowedTopologies"
	checktest.Create(t, StorageClass, newClass, []checktest.Case[*class]{
		{Name: "valid"},
		{"no provisioner", func(c *class) { c.Provisioner = "" }, []string{"provisioner: Required value"}},
		{"provisioner", func(c *class) { c.Provisioner = "A/_" }, []string{`provisioner: Invalid value: "a/_": ` + nameRule}},
		{"parameters", func(c *class) { c.Parameters = map[string]string{"": strings.Repeat("x", 256<<10+1)} }, []string{
			`parameters: Invalid value: "": field can not be empty.`, "parameters: Too long: may not be more than 262144 bytes",
		}},
		{"policies", func(c *class) {
			c.ReclaimPolicy, c.VolumeBindingMode = ptr(corev1.PersistentVolumeReclaimRecycle), ptr(storagev1.VolumeBindingMode("x"))
		}, []string{
			`reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain"`,
			`volumeBindingMode: Unsupported value: "x": supported values: "Immediate", "WaitForFirstConsumer"`,
		}},
		{"topologies", func(c *class) {
			twice := term("zone", "a")
			twice.MatchLabelExpressions = append(twice.MatchLabelExpressions, twice.MatchLabelExpressions[0])
			c.AllowedTopologies = []corev1.TopologySelectorTerm{term("_", "a"), term("zone"), twice, term("zone", "b", "a", "b")}
		}, []string{
			topologies + `[0].matchLabelExpressions[0].key: Invalid value: "_": ` + nameRule,
			topologies + "[1].matchLabelExpressions[0].values: Required value",
			topologies + `[2].matchLabelExpressions[1].key: Duplicate value: "zone"`,
			topologies + `[3].matchLabelExpressions[0].values[2]: Duplicate value: "b"`,
		}},
		{"the same topologies", func(c *class) {
			c.AllowedTopologies = []corev1.TopologySelectorTerm{term("zone", "a", "b"), term("zone", "b", "a"), {}}
		}, []string{
			topologies + `[1].matchLabelExpressions: Duplicate value: ""`, topologies + `[2].matchLabelExpressions: Duplicate value: ""`,
			topologies + `[2].matchLabelExpressions: Duplicate value: ""`, topologies + `[2].matchLabelExpressions: Duplicate value: ""`,
		}},
	})
	checktest.Update(t, StorageClass, newClass, []checktest.Case[*class]{
		{"expansion", func(c *class) { c.AllowVolumeExpansion, c.MountOptions = ptr(true), []string{"ro"} }, nil},
		{"what volumes are made with", func(c *class) {
			c.Parameters, c.Provisioner, c.ReclaimPolicy, c.VolumeBindingMode = nil, "x", ptr(corev1.PersistentVolumeReclaimRetain), ptr(storagev1.VolumeBindingWaitForFirstConsumer)
		}, []string{
			"parameters: Invalid value: null: field is immutable", `provisioner: Invalid value: "x": field is immutable`,
			`reclaimPolicy: Invalid value: "Retain": field is immutable`, `volumeBindingMode: Invalid value: "WaitForFirstConsumer": field is immutable`,
		}},
	})
}

func TestStorageClass(t *testing.T) {
	c := newClass()
	if StorageClass.Default(c); *c.ReclaimPolicy != "Delete" || *c.VolumeBindingMode != "Immediate" {
		t.Errorf("defaults: %+v", c)
	}
	c.Annotations = map[string]string{"storageclass.beta.kubernetes.io/is-default-class": "true"}
	if diff := cmp.Diff([]any{"fast (default)", "example.com/disk", "Delete", "Immediate", false, "0s"}, StorageClass.Row(c, now)); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
	c.AllowedTopologies = []corev1.TopologySelectorTerm{term("failure-domain.beta.kubernetes.io/region", "a")}
	want := []string{`allowedTopologies[0].matchLabelExpressions[0].key: deprecated since v1.17; use "topology.kubernetes.io/region" instead`}
	if diff := cmp.Diff(want, StorageClass.Warnings(c, nil)); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestVolumeAttributesClass(t *testing.T) {
	type class = storagev1.VolumeAttributesClass
	base := func() *class {
		return &class{ObjectMeta: metav1.ObjectMeta{Name: "gold", CreationTimestamp: now}, DriverName: "csi.example.com", Parameters: map[string]string{"iops": "1"}}
	}
	checktest.Create(t, VolumeAttributesClass, base, []checktest.Case[*class]{
		{Name: "valid"},
		{"empty", func(c *class) { c.DriverName, c.Parameters = "", nil }, []string{"driverName: Required value", "parameters: Required value: must contain at least one key/value pair"}},
	})
	checktest.Update(t, VolumeAttributesClass, base, []checktest.Case[*class]{
		{"driver and parameters", func(c *class) { c.DriverName, c.Parameters = "x", map[string]string{"a": "b"} },
			[]string{"driverName: Forbidden: updates to driverName are forbidden.", "parameters: Forbidden: updates to parameters are forbidden."}},
	})
	if diff := cmp.Diff([]any{"gold", "csi.example.com", "0s"}, VolumeAttributesClass.Row(base(), now)); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
}
