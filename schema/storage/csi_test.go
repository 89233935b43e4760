package storage

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema/internal/checktest"
)

func newDriver() *storagev1.CSIDriver {
	return &storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: "csi.example.com", CreationTimestamp: now}}
}

func TestCSIDriverErrors(t *testing.T) {
	type driver = storagev1.CSIDriver
	checktest.Create(t, CSIDriver, newDriver, []checktest.Case[*driver]{
		{Name: "valid"},
		{"policy and modes", func(d *driver) {
			d.Spec.FSGroupPolicy, d.Spec.VolumeLifecycleModes = ptr(storagev1.FSGroupPolicy("x")), []storagev1.VolumeLifecycleMode{"Ephemeral", "y"}
		}, []string{
			`spec.fsGroupPolicy: Unsupported value: "x": supported values: "File", "None", "ReadWriteOnceWithFSType"`,
			`spec.volumeLifecycleModes: Unsupported value: "y": supported values: "Persistent", "Ephemeral"`,
		}},
		{"tokens", func(d *driver) {
			d.Spec.TokenRequests = []storagev1.TokenRequest{{Audience: "a", ExpirationSeconds: ptr(int64(599))}, {Audience: "a"}, {ExpirationSeconds: ptr(int64(1<<32 + 1))}}
		}, []string{
			"spec.tokenRequests[0].expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes",
			`spec.tokenRequests[1].audience: Duplicate value: "a"`,
			"spec.tokenRequests[2].expirationSeconds: Invalid value: 4294967297: may not specify a duration larger than 2^32 seconds",
		}},
		{"seconds and secrets", func(d *driver) {
			d.Spec.NodeAllocatableUpdatePeriodSeconds, d.Spec.ServiceAccountTokenInSecrets = ptr(int64(9)), ptr(true)
		}, []string{
			"spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 9: must be greater than or equal to 10 seconds",
			"spec.serviceAccountTokenInSecrets: Invalid value: true: serviceAccountTokenInSecrets is set but no tokenRequests are specified",
		}},
	})
	want := []string{"spec.attachedRequired: Required value", "spec.podInfoOnMount: Required value", "spec.storageCapacity: Required value", "spec.seLinuxMount: Required value"}
	var got []string
	for _, err := range CSIDriver.Validate(newDriver()) {
		got = append(got, err.Error())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("without defaults (-want +got):\n%s", diff)
	}
	checktest.Update(t, CSIDriver, newDriver, []checktest.Case[*driver]{
		{"what may change", func(d *driver) { d.Spec.PodInfoOnMount, d.Spec.StorageCapacity = ptr(true), ptr(true) }, nil},
		{"attaching and modes", func(d *driver) {
			d.Spec.AttachRequired, d.Spec.VolumeLifecycleModes = ptr(false), []storagev1.VolumeLifecycleMode{"Ephemeral"}
		}, []string{"spec.attachedRequired: Invalid value: false: field is immutable", `spec.volumeLifecycleModes: Invalid value: ["Ephemeral"]: field is immutable`}},
	})
}

func TestCSIDriver(t *testing.T) {
	d := newDriver()
	d.Spec.PreventPodSchedulingIfMissing = ptr(true)
	CSIDriver.Default(d)
	if CSIDriver.PrepareCreate(d); d.Generation != 0 || d.Spec.PreventPodSchedulingIfMissing != nil || !*d.Spec.AttachRequired || *d.Spec.SELinuxMount {
		t.Errorf("after create: %+v", d)
	}
	if diff := cmp.Diff([]any{"csi.example.com", true, false, false, "<unset>", false, "Persistent", "0s"}, CSIDriver.Row(d, now)); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
	changed := d.DeepCopy()
	changed.Spec.TokenRequests = []storagev1.TokenRequest{{Audience: "a"}, {Audience: "b"}}
	if CSIDriver.PrepareUpdate(changed, d); changed.Generation != 1 {
		t.Errorf("generation %d", changed.Generation)
	}
	want := []string{"spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible logging of tokens in volume attributes"}
	if diff := cmp.Diff(want, CSIDriver.Warnings(changed, d)); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	if got := append(CSIDriver.Warnings(changed, changed), CSIDriver.Warnings(d, nil)...); got != nil {
		t.Errorf("warnings without a change, or tokens: %q", got)
	}
	if cells := CSIDriver.Row(changed, now); cells[4] != "a,b" {
		t.Errorf("cells %q", cells)
	}
}

func TestCSINode(t *testing.T) {
	type node = storagev1.CSINode
	base := func() *node {
		return &node{ObjectMeta: metav1.ObjectMeta{Name: "n1", CreationTimestamp: now}, Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{
			{Name: "a", NodeID: "1", TopologyKeys: []string{"zone"}, Allocatable: &storagev1.VolumeNodeResources{Count: ptr(int32(3))}},
		}}}
	}
	checktest.Create(t, CSINode, base, []checktest.Case[*node]{
		{Name: "valid"},
		{"no names", func(n *node) { n.Spec.Drivers = make([]storagev1.CSINodeDriver, 1) }, []string{"spec.drivers[0].name: Required value", "spec.drivers[0].nodeID: Required value"}},
		{"driver", func(n *node) {
			d := &n.Spec.Drivers[0]
			d.Name, d.NodeID, *d.Allocatable.Count, d.TopologyKeys = "_", strings.Repeat("x", 257), -1, []string{"a", "a", "_"}
		}, []string{
			`spec.drivers[0].name: Invalid value: "_": ` + subdomainRule,
			`spec.drivers[0].nodeID: Invalid value: "` + strings.Repeat("x", 257) + `": must be 256 characters or less`,
			"spec.drivers[0].allocatable.count: Invalid value: -1: must be greater than or equal to 0",
			`spec.drivers[0]: Duplicate value: "a"`,
			`spec.drivers[0]: Invalid value: "_": ` + nameRule,
		}},
		{"drivers", func(n *node) { n.Spec.Drivers = append(n.Spec.Drivers, n.Spec.Drivers[0]) }, []string{`spec.drivers[1].name: Duplicate value: "a"`}},
	})
	checktest.Update(t, CSINode, base, []checktest.Case[*node]{
		{"the count", func(n *node) { n.Spec.Drivers[0].Allocatable = nil }, nil},
		{"another driver", func(n *node) { n.Spec.Drivers[0].Name = "b" }, nil},
		{"the node's ID", func(n *node) { n.Spec.Drivers[0].NodeID = "2" },
			[]string{`spec.drivers: Invalid value: {"Name":"a","NodeID":"2","TopologyKeys":["zone"],"Allocatable":null}: field is immutable`}},
	})
	empty := &node{Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{{TopologyKeys: []string{}}}}}
	if CSINode.Default(empty); empty.Spec.Drivers[0].TopologyKeys != nil {
		t.Error("an empty list is kept")
	}
	if diff := cmp.Diff([]any{"n1", int64(1), "0s"}, CSINode.Row(base(), now)); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
}

func TestCSIStorageCapacity(t *testing.T) {
	type capacity = storagev1.CSIStorageCapacity
	base := func() *capacity {
		return &capacity{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "c"}, StorageClassName: "fast", Capacity: ptr(resource.MustParse("1Gi")),
			NodeTopology: &metav1.LabelSelector{MatchLabels: map[string]string{"beta.kubernetes.io/os": "linux"}, MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "beta.kubernetes.io/arch", Operator: "Exists"}}}}
	}
	checktest.Create(t, CSIStorageCapacity, base, []checktest.Case[*capacity]{
		{Name: "valid"},
		{"all", func(c *capacity) {
			c.NodeTopology, c.StorageClassName, c.Capacity = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "x"}}}, "A", ptr(resource.MustParse("-1"))
		}, []string{
			`nodeTopology.matchExpressions[0].operator: Invalid value: "x": not a valid selector operator`,
			`storageClassName: Invalid value: "A": ` + subdomainRule,
			`capacity: Invalid value: "-1": must be greater than or equal to 0`,
		}},
	})
	checktest.Update(t, CSIStorageCapacity, base, []checktest.Case[*capacity]{
		{"capacity", func(c *capacity) { c.Capacity = nil }, nil},
		{"nodes and class", func(c *capacity) { c.NodeTopology, c.StorageClassName = nil, "slow" },
			[]string{"nodeTopology: Invalid value: null: field is immutable", `storageClassName: Invalid value: "slow": field is immutable`}},
	})
	want := []string{
		`nodeTopology.matchExpressions[0].key: beta.kubernetes.io/arch is deprecated since v1.14; use "kubernetes.io/arch" instead`,
		`nodeTopology.matchLabels.beta.kubernetes.io/os: deprecated since v1.14; use "kubernetes.io/os" instead`,
	}
	if diff := cmp.Diff(want, CSIStorageCapacity.Warnings(base(), nil)); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}
