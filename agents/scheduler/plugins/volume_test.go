package plugins

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/scheduler/framework"
	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/storage"
)

// volumeCluster is the scheduler's view of a cluster, with a registry that has claims and volumes.
type volumeCluster struct {
	t        *testing.T
	state    *framework.ClusterState
	registry *registry.Registry
}

func newVolumeCluster(t *testing.T) *volumeCluster {
	r, _ := registrytest.New(t)
	return &volumeCluster{t, framework.NewClusterState(framework.NewPluginSet(All, framework.Handle{Registry: r})), r}
}

// create creates an object and waits until the cache has it.
func (c *volumeCluster) create(k *schema.Kind, obj schema.Object) {
	c.t.Helper()
	made := registrytest.Must(c.t)(c.registry.Create(c.t.Context(), k, obj, registry.WriteOptions{}))
	err := registrytest.WaitFor(registrytest.Context(c.t), func() bool {
		_, err := c.registry.Get(c.t.Context(), k, made.Namespace, made.Name, "0")
		return err == nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

// claim creates a claim bound to a volume with these labels.
func (c *volumeCluster) claim(name string, mode corev1.PersistentVolumeAccessMode, labels map[string]string, source corev1.PersistentVolumeSource) {
	c.t.Helper()
	size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	modes := []corev1.PersistentVolumeAccessMode{mode}
	c.create(core.PersistentVolume, &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv-" + name, Labels: labels},
		Spec: corev1.PersistentVolumeSpec{Capacity: size, AccessModes: modes, PersistentVolumeSource: source}})
	c.create(core.PersistentVolumeClaim, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name,
		Annotations: map[string]string{"pv.kubernetes.io/bind-completed": "yes"}},
		Spec: corev1.PersistentVolumeClaimSpec{VolumeName: "pv-" + name, AccessModes: modes, Resources: corev1.VolumeResourceRequirements{Requests: size}}})
}

func (c *volumeCluster) node(name string, labels map[string]string) *framework.NodeInfo {
	c.state.SetNode(name, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("10")}}})
	return c.state.NodeNamed(name)
}

// pod is a pod that uses claims.
func (c *volumeCluster) pod(name string, claims ...string) *framework.PodInfo {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Spec: corev1.PodSpec{SchedulerName: corev1.DefaultSchedulerName}}
	for _, claim := range claims {
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: claim,
			VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}}})
	}
	p := &framework.PodInfo{Key: "default/" + name}
	c.state.SetSignature(p, c.state.SignatureOf(pod))
	return p
}

// wantRejected checks why the filters that look at more than the node reject a pod; "": they do not.
func (c *volumeCluster) wantRejected(p *framework.PodInfo, n *framework.NodeInfo, want string) {
	c.t.Helper()
	if got := strings.Join(c.state.PreFilter(p.Signature).FilterClusterWide(n).Reasons, "; "); got != want {
		c.t.Errorf("%s on %s: %q, want %q", p.Key, n.Name, got, want)
	}
}

var onHost = corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/data"}}

// TestReadWriteOncePod: while a pod uses such a claim, wherever and even while it ends, another fits no node.
func TestReadWriteOncePod(t *testing.T) {
	const inUse = "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod"
	c := newVolumeCluster(t)
	c.claim("single", corev1.ReadWriteOncePod, nil, onHost)
	c.claim("shared", corev1.ReadWriteOnce, nil, onHost)
	n1, n2 := c.node("n1", nil), c.node("n2", nil)
	first, second, other := c.pod("first", "single", "shared"), c.pod("second", "single"), c.pod("other", "shared")
	c.wantRejected(first, n1, "")
	c.wantRejected(second, n1, "")
	c.state.AddPod(first, n1)
	c.wantRejected(second, n1, inUse)
	c.wantRejected(second, n2, inUse)
	c.wantRejected(other, n2, "")
	for _, n := range []*framework.NodeInfo{n1, n2} {
		run := c.state.PreFilter(second.Signature).DryRun(n)
		if n == n1 {
			run.Remove(first)
		}
		if fits := run.Fits(); fits != (n == n1) {
			t.Errorf("second fits %s without its pods: %v", n.Name, fits)
		}
		run.End()
		c.wantRejected(second, n, inUse)
	}
	c.state.SetTerminating(first, true)
	c.wantRejected(second, n2, inUse)
	c.state.RemovePod(first)
	c.wantRejected(second, n2, "")
}

func TestVolumeZone(t *testing.T) {
	const zone, region, oldZone = corev1.LabelTopologyZone, corev1.LabelTopologyRegion, corev1.LabelFailureDomainBetaZone
	const elsewhere = "node(s) had no available volume zone"
	type labels = map[string]string
	for _, tc := range []struct {
		name         string
		volume, node labels
		want         string
	}{
		{"no labels", nil, labels{zone: "a"}, ""},
		{"a node without a place", labels{zone: "a"}, labels{"x": "y"}, ""},
		{"the same zone", labels{zone: "a"}, labels{zone: "a"}, ""},
		{"another zone", labels{zone: "a"}, labels{zone: "b"}, elsewhere},
		{"one of several zones", labels{zone: "a__b"}, labels{zone: "b"}, ""},
		{"none of several zones", labels{zone: "a__b"}, labels{zone: "c"}, elsewhere},
		{"an empty zone says nothing", labels{zone: "a____b"}, labels{zone: "c"}, ""},
		{"the label's old name", labels{oldZone: "a"}, labels{zone: "a"}, ""},
		{"the label's old name, another zone", labels{oldZone: "a"}, labels{zone: "b"}, elsewhere},
		{"a node without a zone, but a region", labels{zone: "a"}, labels{region: "r"}, elsewhere},
		{"another region", labels{zone: "a", region: "r"}, labels{zone: "a", region: "s"}, elsewhere},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newVolumeCluster(t)
			c.claim("data", corev1.ReadWriteOnce, tc.volume, onHost)
			c.wantRejected(c.pod("p", "data"), c.node("n", tc.node), tc.want)
		})
	}
}

// TestNodeVolumeLimits: a driver's volumes on a node are counted once each, whoever uses them, also while they are only attached still.
func TestNodeVolumeLimits(t *testing.T) {
	const full = "node(s) exceed max volume count"
	c := newVolumeCluster(t)
	n1, n2 := c.node("n1", nil), c.node("n2", nil)
	count := int32(2)
	c.create(storage.CSINode, &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: "n1"}, Spec: storagev1.CSINodeSpec{
		Drivers: []storagev1.CSINodeDriver{{Name: "csi.example.com", NodeID: "n1", Allocatable: &storagev1.VolumeNodeResources{Count: &count}}}}})
	for _, name := range []string{"a", "b", "c"} {
		c.claim(name, corev1.ReadWriteOnce, nil, corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "csi.example.com", VolumeHandle: name}})
	}
	c.claim("local", corev1.ReadWriteOnce, nil, onHost)
	wait := storagev1.VolumeBindingWaitForFirstConsumer
	c.create(storage.StorageClass, &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast"}, Provisioner: "csi.example.com", VolumeBindingMode: &wait})
	c.create(core.PersistentVolumeClaim, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "new"}, Spec: corev1.PersistentVolumeClaimSpec{
		StorageClassName: ptr("fast"), AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}}}})
	first, second, third, unbound := c.pod("first", "a", "local"), c.pod("second", "a", "b"), c.pod("third", "c"), c.pod("fourth", "new")
	c.state.AddPod(first, n1)
	c.wantRejected(third, n1, "")
	c.state.AddPod(second, n1)
	c.wantRejected(third, n1, full)
	c.wantRejected(unbound, n1, full)
	c.wantRejected(third, n2, "")
	c.wantRejected(c.pod("fifth", "b", "local"), n1, "")
	c.wantRejected(c.pod("sixth", "local"), n1, "")
	c.state.RemovePod(second)
	c.wantRejected(third, n1, "")
	c.wantRejected(unbound, n1, "")
	c.wantRejected(c.pod("seventh", "b", "c"), n1, full)

	c.create(storage.VolumeAttachment, &storagev1.VolumeAttachment{ObjectMeta: metav1.ObjectMeta{Name: "b-on-n1"}, Spec: storagev1.VolumeAttachmentSpec{
		Attacher: "csi.example.com", NodeName: "n1", Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: ptr("pv-b")}}})
	c.state.DropPreFilterStates()
	c.wantRejected(third, n1, full)
	c.wantRejected(c.pod("eighth", "b"), n1, "")
}

func ptr[T any](v T) *T { return &v }
