package quota

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"

	"gantry/schema"
	"gantry/schema/apps"
	"gantry/schema/core"
	schemaresource "gantry/schema/resource"
)

var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// show is a usage: "count/pods=1,cpu=100m,pods=1".
func show(u corev1.ResourceList) string {
	var names []corev1.ResourceName
	for name, q := range u {
		if !q.IsZero() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return Text(u, names)
}

// parse reads an object of YAML.
func parse[T schema.Object](t *testing.T, obj T, text string) T {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(text), obj); err != nil {
		t.Fatal(err)
	}
	return obj
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		name string
		kind *schema.Kind
		obj  schema.Object
		text string
		want string
	}{
		{"config map", core.ConfigMap, &corev1.ConfigMap{}, ``, "configmaps=1,count/configmaps=1"},
		{"quota", core.ResourceQuota, &corev1.ResourceQuota{}, ``, "count/resourcequotas=1,resourcequotas=1"},
		{"deployment", apps.Deployment, nil, ``, "count/deployments.apps=1"},
		{"best effort pod", core.Pod, &corev1.Pod{}, `spec: {containers: [{name: a}]}`, "count/pods=1,pods=1"},
		{"containers and init containers", core.Pod, &corev1.Pod{}, `
spec:
  initContainers: [{name: i, resources: {requests: {cpu: 500m}, limits: {cpu: "1", memory: 1Gi}}}]
  containers:
  - {name: a, resources: {requests: {cpu: 100m, memory: 10Mi, ephemeral-storage: 1Gi, hugepages-2Mi: 4Mi, example.com/gpu: "2", kubernetes.io/x: "1"}, limits: {memory: 20Mi, ephemeral-storage: 2Gi}}}
  - {name: b, resources: {requests: {cpu: 200m}}}`,
			"count/pods=1,cpu=500m,ephemeral-storage=1Gi,hugepages-2Mi=4Mi,limits.cpu=1,limits.ephemeral-storage=2Gi,limits.memory=1Gi,memory=10Mi,pods=1," +
				"requests.cpu=500m,requests.ephemeral-storage=1Gi,requests.example.com/gpu=2,requests.hugepages-2Mi=4Mi,requests.memory=10Mi"},
		{"overhead and resources of the pod", core.Pod, &corev1.Pod{}, `
spec:
  overhead: {cpu: 50m}
  resources: {requests: {cpu: "2"}}
  containers: [{name: a, resources: {requests: {cpu: 100m}}}]`, "count/pods=1,cpu=2050m,pods=1,requests.cpu=2050m"},
		{"ended pod", core.Pod, &corev1.Pod{}, `{spec: {containers: [{name: a, resources: {requests: {cpu: "1"}}}]}, status: {phase: Succeeded}}`, "count/pods=1"},
		{"pod that is being deleted", core.Pod, &corev1.Pod{}, `{metadata: {deletionTimestamp: "2026-01-01T00:00:00Z", deletionGracePeriodSeconds: 30}}`, "count/pods=1,pods=1"},
		{"pod that should be gone", core.Pod, &corev1.Pod{}, `{metadata: {deletionTimestamp: "2025-12-31T23:59:00Z", deletionGracePeriodSeconds: 30}}`, "count/pods=1"},
		{"service", core.Service, &corev1.Service{}, `spec: {type: ClusterIP, ports: [{port: 80}]}`, "count/services=1,services=1"},
		{"node ports", core.Service, &corev1.Service{}, `spec: {type: NodePort, ports: [{port: 80}, {port: 81}]}`, "count/services=1,services=1,services.nodeports=2"},
		{"load balancer", core.Service, &corev1.Service{}, `spec: {type: LoadBalancer, ports: [{port: 80}]}`, "count/services=1,services=1,services.loadbalancers=1,services.nodeports=1"},
		{"load balancer without node ports", core.Service, &corev1.Service{}, `spec: {type: LoadBalancer, allocateLoadBalancerNodePorts: false, ports: [{port: 80}, {port: 81, nodePort: 30000}]}`,
			"count/services=1,services=1,services.loadbalancers=1,services.nodeports=1"},
		{"claim of a class", core.PersistentVolumeClaim, &corev1.PersistentVolumeClaim{}, `spec: {storageClassName: gold, resources: {requests: {storage: 1500m}}}`,
			"count/persistentvolumeclaims=1,gold.storageclass.storage.k8s.io/persistentvolumeclaims=1,gold.storageclass.storage.k8s.io/requests.storage=2,persistentvolumeclaims=1,requests.storage=2"},
		{"claim that has grown", core.PersistentVolumeClaim, &corev1.PersistentVolumeClaim{}, `{spec: {resources: {requests: {storage: 1Gi}}}, status: {allocatedResources: {storage: 3Gi}}}`,
			"count/persistentvolumeclaims=1,persistentvolumeclaims=1,requests.storage=3Gi"},
		{"devices", schemaresource.ResourceClaim, &resourcev1.ResourceClaim{}, `
spec:
  devices:
    requests:
    - {name: a, exactly: {deviceClassName: gpu, allocationMode: ExactCount, count: 2}}
    - {name: b, exactly: {deviceClassName: nic, allocationMode: All}}
    - name: c
      firstAvailable:
      - {name: x, deviceClassName: gpu, allocationMode: ExactCount, count: 1}
      - {name: y, deviceClassName: gpu, allocationMode: ExactCount, count: 3}
      - {name: z, deviceClassName: tpu, allocationMode: ExactCount, count: 1}`,
			"count/resourceclaims.resource.k8s.io=1,gpu.deviceclass.resource.k8s.io/devices=5,nic.deviceclass.resource.k8s.io/devices=32," +
				"requests.deviceclass.resource.kubernetes.io/gpu=5,requests.deviceclass.resource.kubernetes.io/nic=32,requests.deviceclass.resource.kubernetes.io/tpu=1," +
				"requests.example.com/gpu=5,tpu.deviceclass.resource.k8s.io/devices=1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			obj := c.obj
			if obj == nil {
				obj = c.kind.New()
			}
			u := Usage(c.kind, parse(t, obj, c.text), now, func(class string) string { return map[string]string{"gpu": "example.com/gpu"}[class] })
			if got := show(u); got != c.want {
				t.Errorf("usage\n%s\nwant\n%s", got, c.want)
			}
			for name := range u {
				if !Uses(c.kind, name) {
					t.Errorf("the kind is not known to use %s", name)
				}
			}
		})
	}
}

func TestResourcesOfKinds(t *testing.T) {
	names := []string{"pods", "cpu", "limits.memory", "hugepages-1Gi", "requests.hugepages-1Gi", "requests.example.com/gpu", "example.com/gpu", "requests.storage", "services.nodeports",
		"secrets", "count/secrets", "count/deployments.apps", "count/deployments.extensions", "count/deployments", "a.storageclass.storage.k8s.io/requests.storage", "a.deviceclass.resource.k8s.io/devices"}
	for _, c := range []struct {
		kind *schema.Kind
		want string
	}{
		{core.Pod, "pods cpu limits.memory hugepages-1Gi requests.hugepages-1Gi requests.example.com/gpu"},
		{core.Secret, "secrets count/secrets"},
		{core.Service, "services.nodeports"},
		{apps.Deployment, "count/deployments.apps"},
		{core.PersistentVolumeClaim, "requests.storage a.storageclass.storage.k8s.io/requests.storage"},
		{schemaresource.ResourceClaim, "requests.example.com/gpu a.deviceclass.resource.k8s.io/devices"},
	} {
		var got []string
		for _, name := range names {
			if Uses(c.kind, corev1.ResourceName(name)) {
				got = append(got, name)
			}
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %s\nwant %s", c.kind.Kind, s, c.want)
		}
	}
	if Tracks(core.Event) || Tracks(core.Node) || !Tracks(core.Pod) {
		t.Error("events and nodes are not counted, pods are")
	}
}

func TestScopes(t *testing.T) {
	pod := func(text string) *corev1.Pod { return parse(t, &corev1.Pod{}, text) }
	selector := func(scope corev1.ResourceQuotaScope, op corev1.ScopeSelectorOperator, values ...string) corev1.ResourceQuotaSpec {
		return corev1.ResourceQuotaSpec{ScopeSelector: &corev1.ScopeSelector{MatchExpressions: []corev1.ScopedResourceSelectorRequirement{{ScopeName: scope, Operator: op, Values: values}}}}
	}
	scopes := func(list ...corev1.ResourceQuotaScope) corev1.ResourceQuotaSpec {
		return corev1.ResourceQuotaSpec{Scopes: list}
	}
	plain, deadline := pod(`spec: {containers: [{name: a}]}`), pod(`spec: {activeDeadlineSeconds: 0, containers: [{name: a, resources: {requests: {cpu: "1"}}}]}`)
	vip, mine := pod(`spec: {priorityClassName: vip}`), "mine"
	near := pod(`spec: {affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, podAffinityTerm: {topologyKey: a, namespaces: [b]}}]}}}`)
	claim := &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{VolumeAttributesClassName: &mine}}
	modified := &corev1.PersistentVolumeClaim{Status: corev1.PersistentVolumeClaimStatus{ModifyVolumeStatus: &corev1.ModifyVolumeStatus{TargetVolumeAttributesClassName: "next"}}}
	for _, c := range []struct {
		name string
		spec corev1.ResourceQuotaSpec
		obj  schema.Object
		want bool
	}{
		{"none", scopes(), plain, true},
		{"terminating", scopes("Terminating"), deadline, true},
		{"terminating, without a deadline", scopes("Terminating"), plain, false},
		{"not terminating", scopes("NotTerminating"), plain, true},
		{"best effort", scopes("BestEffort", "NotTerminating"), plain, true},
		{"two scopes of which one does not match", scopes("BestEffort", "Terminating"), deadline, false},
		{"not best effort", scopes("NotBestEffort"), deadline, true},
		{"priority class", scopes("PriorityClass"), vip, true},
		{"no priority class", scopes("PriorityClass"), plain, false},
		{"of a class", selector("PriorityClass", "In", "vip", "other"), vip, true},
		{"not of a class", selector("PriorityClass", "NotIn", "vip"), vip, false},
		{"not of a class, having none", selector("PriorityClass", "NotIn", "vip"), plain, true},
		{"without a class", selector("PriorityClass", "DoesNotExist"), plain, true},
		{"an operator that is none", selector("PriorityClass", "Near"), vip, false},
		{"cross namespace affinity", scopes("CrossNamespacePodAffinity"), near, true},
		{"no affinity", scopes("CrossNamespacePodAffinity"), plain, false},
		{"attributes class", selector("VolumeAttributesClass", "In", "mine"), claim, true},
		{"attributes class to come", selector("VolumeAttributesClass", "In", "next"), modified, true},
		{"no attributes class", selector("VolumeAttributesClass", "Exists"), &corev1.PersistentVolumeClaim{}, false},
		{"a pod has none", scopes("VolumeAttributesClass"), plain, false},
		{"a scope of pods", scopes("BestEffort"), claim, false},
		{"a kind without scopes", scopes("Terminating"), &corev1.ConfigMap{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Matches(&c.spec, c.obj); got != c.want {
				t.Errorf("matches: %t, want %t", got, c.want)
			}
		})
	}
}

func TestUnspecified(t *testing.T) {
	names := []corev1.ResourceName{"cpu", "limits.ephemeral-storage", "limits.memory", "pods"}
	for text, want := range map[string]string{
		`spec: {containers: [{name: b, resources: {requests: {cpu: "1"}}}, {name: a}]}`:                                          "must specify cpu for: a; limits.memory for: a,b",
		`spec: {initContainers: [{name: i}], containers: [{name: c, resources: {requests: {cpu: "1"}, limits: {memory: 1Gi}}}]}`: "must specify cpu for: i; limits.memory for: i",
		`spec: {containers: [{name: c, resources: {requests: {cpu: "1"}, limits: {memory: 1Gi}}}]}`:                              "",
		`spec: {resources: {requests: {cpu: "1"}}, containers: [{name: c}]}`:                                                     "",
	} {
		if got := Unspecified(parse(t, &corev1.Pod{}, text), names); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestCounter(t *testing.T) {
	list := func(pairs ...string) corev1.ResourceList {
		out := corev1.ResourceList{}
		for i := 0; i < len(pairs); i += 2 {
			out[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
		}
		return out
	}
	c := &Counter{UID: "1", Hard: list("cpu", "2", "pods", "3", "memory", "1"), Used: list("cpu", "1", "pods", "2"), Counting: list("memory", "0")}
	if over := c.Exceeded(list("cpu", "1500m", "pods", "1", "memory", "9", "secrets", "9")); !slices.Equal(over, []corev1.ResourceName{"cpu"}) {
		t.Errorf("exceeded %v, want cpu alone: memory is not limited yet, secrets are not counted", over)
	}
	if over := c.Exceeded(list("cpu", "-1")); over != nil {
		t.Errorf("what gives back exceeds %v", over)
	}
	if !c.Add(list("cpu", "-5", "pods", "1", "memory", "-1")) || c.Add(list("secrets", "1")) {
		t.Error("a change of counted resources changes the counter, of others does not")
	}
	value, err := c.Encode()
	if err != nil || string(value) != `{"uid":"1","hard":{"cpu":"2","memory":"1","pods":"3"},"used":{"cpu":"0","pods":"3"},"counting":{"memory":"-1"}}` {
		t.Errorf("%s, %v", value, err)
	}
	if got := Decode(value, "1"); got == nil || !Equal(got.Used, c.Used) || !Equal(got.Counting, c.Counting) {
		t.Errorf("read again: %+v", got)
	}
	for _, bad := range []string{"", "x", `{"uid":"2"}`, `{"uid":"1","used":{"cpu":"many"}}`, `[]`} {
		if Decode([]byte(bad), "1") != nil {
			t.Errorf("%q is a counter", bad)
		}
	}
	d := Delta(list("cpu", "1", "pods", "1"), list("cpu", "3", "pods", "1", "memory", "1"), []corev1.ResourceName{"cpu", "pods"})
	if got := show(d); got != "cpu=2" {
		t.Errorf("delta %s", got)
	}
}
