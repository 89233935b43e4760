package core

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema"
)

func specTemplate() *field.Path { return field.NewPath("spec", "template") }

func TestPodPrepareCreate(t *testing.T) {
	pod := simplePod()
	pod.Labels = map[string]string{"v": "1"}
	pod.Status.Phase, pod.Generation = "Running", 7
	pod.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "a/b"}}
	pod.Spec.SchedulingGroup = &corev1.PodSchedulingGroup{}
	pod.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{LabelSelector: &metav1.LabelSelector{}, MatchLabelKeys: []string{"v", "absent"}}, {MatchLabelKeys: []string{"v"}}}
	Pod.PrepareCreate(pod)
	want := corev1.PodStatus{Phase: "Pending", QOSClass: "BestEffort", Conditions: []corev1.PodCondition{{
		Type: "PodScheduled", Status: "False", Reason: "SchedulingGated", Message: "Scheduling is blocked due to non-empty scheduling gates"}}}
	if diff := cmp.Diff(want, pod.Status); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if pod.Generation != 1 || pod.Spec.SchedulingGroup != nil {
		t.Errorf("generation %d, group %v", pod.Generation, pod.Spec.SchedulingGroup)
	}
	in := []metav1.LabelSelectorRequirement{{Key: "v", Operator: "In", Values: []string{"1"}}}
	if diff := cmp.Diff(in, pod.Spec.TopologySpreadConstraints[0].LabelSelector.MatchExpressions); diff != "" {
		t.Errorf("selector (-want +got):\n%s", diff)
	}
	if pod.Spec.TopologySpreadConstraints[1].LabelSelector != nil {
		t.Error("a constraint without a selector got one")
	}
}

func TestPodPrepareUpdate(t *testing.T) {
	old := simplePod()
	old.Generation, old.Status.Phase = 3, "Running"
	same, changed := old.DeepCopy(), old.DeepCopy()
	same.Labels, same.Status.Phase = map[string]string{"a": "b"}, "Failed"
	changed.Spec.Containers[0].Image = "x:2"
	Pod.PrepareUpdate(same, old)
	Pod.PrepareUpdate(changed, old)
	if same.Generation != 3 || changed.Generation != 4 || same.Status.Phase != "Running" {
		t.Errorf("generations %d, %d, phase %s", same.Generation, changed.Generation, same.Status.Phase)
	}
}

func TestPodPrepareStatus(t *testing.T) {
	old := simplePod()
	old.Generation = 3
	old.Status = corev1.PodStatus{QOSClass: "Burstable", ObservedGeneration: 2, Conditions: []corev1.PodCondition{{Type: "Ready", ObservedGeneration: 2}}}
	pod := old.DeepCopy()
	pod.Spec.NodeName = "stolen"
	pod.OwnerReferences = []metav1.OwnerReference{{Name: "x"}}
	pod.Status = corev1.PodStatus{Phase: "Running", Conditions: []corev1.PodCondition{{Type: "Ready"}}}
	Pod.Subresource("status").Prepare(pod, old)
	want := old.DeepCopy()
	want.Status.Phase = "Running"
	if diff := cmp.Diff(want, pod); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPodGrace(t *testing.T) {
	for _, tt := range []struct {
		name      string
		node      string
		phase     corev1.PodPhase
		own       *int64
		requested *int64
		want      int64
	}{
		{"its own", "n1", "Running", ptr(int64(30)), nil, 30},
		{"requested", "n1", "Running", ptr(int64(30)), ptr(int64(5)), 5},
		{"none set", "n1", "Running", nil, nil, 0},
		{"forced", "n1", "Running", ptr(int64(30)), ptr(int64(0)), 0},
		{"negative", "n1", "Running", ptr(int64(-4)), nil, 1},
		{"without a node", "", "Pending", ptr(int64(30)), ptr(int64(9)), 0},
		{"ended", "n1", "Succeeded", ptr(int64(30)), nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pod := &corev1.Pod{Spec: corev1.PodSpec{NodeName: tt.node, TerminationGracePeriodSeconds: tt.own}, Status: corev1.PodStatus{Phase: tt.phase}}
			if got := Pod.Grace(pod, tt.requested); got != tt.want {
				t.Errorf("Grace = %d, want %d", got, tt.want)
			}
		})
	}
}

// fieldsOf is what field selectors see of an object.
func fieldsOf(k *schema.Kind, obj schema.Object) map[string]string {
	values := map[string]string{}
	for _, f := range k.Fields {
		values[f.Path] = f.Value(obj)
	}
	return values
}

func TestPodFields(t *testing.T) {
	pod := simplePod()
	pod.Spec.NodeName, pod.Spec.HostNetwork = "n1", true
	pod.Status.PodIPs = []corev1.PodIP{{IP: "10.0.0.1"}}
	want := map[string]string{
		"spec.nodeName": "n1", "spec.restartPolicy": "", "spec.schedulerName": "", "spec.serviceAccountName": "", "spec.hostNetwork": "true",
		"status.phase": "", "status.podIP": "10.0.0.1", "status.nominatedNodeName": "",
	}
	if diff := cmp.Diff(want, fieldsOf(Pod, pod)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestQOS(t *testing.T) {
	list := func(cpu, memory string) corev1.ResourceList {
		l := corev1.ResourceList{}
		if cpu != "" {
			l["cpu"] = resource.MustParse(cpu)
		}
		if memory != "" {
			l["memory"] = resource.MustParse(memory)
		}
		return l
	}
	pod := func(own *corev1.ResourceRequirements, all ...corev1.ResourceRequirements) *corev1.Pod {
		p := &corev1.Pod{Spec: corev1.PodSpec{Resources: own}}
		for _, r := range all {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Resources: r})
		}
		return p
	}
	full := corev1.ResourceRequirements{Limits: list("1", "1Gi"), Requests: list("1", "1Gi")}
	for _, tt := range []struct {
		name string
		in   *corev1.Pod
		want corev1.PodQOSClass
	}{
		{"nothing", pod(nil, corev1.ResourceRequirements{}), "BestEffort"},
		{"zero is nothing", pod(nil, corev1.ResourceRequirements{Requests: list("0", "")}), "BestEffort"},
		{"equal", pod(nil, full, full), "Guaranteed"},
		{"one without limits", pod(nil, full, corev1.ResourceRequirements{}), "Burstable"},
		{"requests alone", pod(nil, corev1.ResourceRequirements{Requests: list("1", "1Gi")}), "Burstable"},
		{"request below limit", pod(nil, corev1.ResourceRequirements{Limits: list("2", "1Gi"), Requests: list("1", "1Gi")}), "Burstable"},
		{"the pod's own count", pod(&full, corev1.ResourceRequirements{}), "Guaranteed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := QOS(tt.in); got != tt.want {
				t.Errorf("QOS = %s, want %s", got, tt.want)
			}
		})
	}
}

func TestPodWarnings(t *testing.T) {
	pod := parse[corev1.Pod](t, `
metadata: {name: a.b, namespace: default}
spec:
  nodeSelector: {beta.kubernetes.io/os: linux}
  affinity:
    nodeAffinity:
      requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: failure-domain.beta.kubernetes.io/zone, operator: In, values: [a]}]}]}
      preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, preference: {matchExpressions: [{key: node-role.kubernetes.io/master, operator: In, values: ["a b"]}]}}]
  topologySpreadConstraints: [{topologyKey: beta.kubernetes.io/instance-type}]
  imagePullSecrets: [{}, {name: x}, {name: x}]
  containers:
  - name: c
    env: [{name: A, value: a}, {name: A, value: "$(A)b"}, {name: A, value: c}]
    ports: [{containerPort: 80, name: http, protocol: TCP}, {containerPort: 80, name: http, protocol: TCP}]
    resources: {limits: {memory: 1m}}
  volumes: [{name: a, gitRepo: {repository: x}}]
`)
	want := []string{
		"metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]",
		`spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead`,
		`spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].key: failure-domain.beta.kubernetes.io/zone is deprecated since v1.17; use "topology.kubernetes.io/zone" instead`,
		`spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].key: node-role.kubernetes.io/master is use "node-role.kubernetes.io/control-plane" instead`,
		"spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].values[0]: a b is invalid, a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
		`spec.topologySpreadConstraints[0].topologyKey: beta.kubernetes.io/instance-type is deprecated since v1.17; use "node.kubernetes.io/instance-type" instead`,
		"spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod",
		"spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+",
		`spec.imagePullSecrets[2].name: duplicate name "x"`,
		`spec.imagePullSecrets[0].name: invalid empty name ""`,
		`spec.containers[0].resources.limits[memory]: fractional byte value "1m" is invalid, must be an integer`,
		`spec.containers[0].env[2]: hides previous definition of "A", which may be dropped when using apply`,
		"spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]",
		`spec.containers[0].ports[1]: duplicate port name "http" with spec.containers[0].ports[0], services and probes that select ports by name will use spec.containers[0].ports[0]`,
	}
	if diff := cmp.Diff(want, Pod.Warnings(pod, nil)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := Pod.Warnings(pod, pod); got != nil {
		t.Errorf("on an update: %q", got)
	}
}

// BenchmarkPod is what every create of a typical pod costs before admission.
func BenchmarkPod(b *testing.B) {
	pod := parse[corev1.Pod](b, `
metadata: {name: web-1, namespace: default, labels: {app: web, tier: front}}
spec:
  nodeSelector: {disk: ssd}
  serviceAccountName: default
  tolerations: [{key: a, operator: Exists, effect: NoExecute, tolerationSeconds: 300}, {key: b, operator: Exists, effect: NoExecute, tolerationSeconds: 300}]
  containers:
  - name: web
    image: nginx:1.27
    ports: [{name: http, containerPort: 80}]
    env: [{name: A, value: b}, {name: B, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]
    resources: {limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 500m, memory: 512Mi}}
    livenessProbe: {httpGet: {port: 80, path: /healthz}}
    readinessProbe: {httpGet: {port: 80}}
    volumeMounts: [{name: data, mountPath: /data}, {name: cfg, mountPath: /cfg}]
  volumes: [{name: data, emptyDir: {}}, {name: cfg, configMap: {name: c}}]
`)
	b.ReportAllocs()
	for b.Loop() {
		Pod.Default(pod)
		if errs := Pod.Validate(pod); len(errs) > 0 {
			b.Fatal(errs)
		}
	}
}
