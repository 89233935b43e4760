package core

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

func simpleController() *corev1.ReplicationController {
	rc := &corev1.ReplicationController{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default"}}
	rc.Spec.Template = &corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}}, Spec: simplePod().Spec}
	return rc
}

func TestReplicationControllerDefaults(t *testing.T) {
	rc := simpleController()
	ReplicationController.Default(rc)
	if *rc.Spec.Replicas != 1 || rc.Spec.Selector["app"] != "web" || rc.Labels["app"] != "web" || rc.Spec.Template.Spec.DNSPolicy != "ClusterFirst" {
		t.Errorf("got %+v", rc)
	}
	if spec, _, selector := ReplicationController.Scale().Get(rc); spec != 1 || selector != "app=web" {
		t.Errorf("scale %d, %q", spec, selector)
	}
	old := rc.DeepCopy()
	ReplicationController.PrepareCreate(old)
	rc.Spec.Replicas = ptr(int32(2))
	rc.Status.Replicas = 7
	if ReplicationController.PrepareUpdate(rc, old); rc.Generation != 2 || rc.Status.Replicas != 0 {
		t.Errorf("updated: generation %d, status %+v", rc.Generation, rc.Status)
	}
	empty := &corev1.ReplicationController{}
	ReplicationController.Default(empty)
	ReplicationController.PrepareCreate(empty)
	ReplicationController.PrepareUpdate(empty, &corev1.ReplicationController{})
}

func TestReplicationControllerErrors(t *testing.T) {
	runValidate(t, ReplicationController, simpleController, []errorCase[*corev1.ReplicationController]{
		{"valid", nil, nil},
		{"nothing", func(rc *corev1.ReplicationController) { rc.Spec = corev1.ReplicationControllerSpec{} }, []string{
			"spec.selector: Required value", "spec.template: Required value",
		}},
		{"numbers", func(rc *corev1.ReplicationController) { rc.Spec.MinReadySeconds, rc.Spec.Replicas = -1, ptr(int32(-2)) }, []string{
			"spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0", "spec.replicas: Invalid value: -2: must be greater than or equal to 0",
		}},
		{"selector", func(rc *corev1.ReplicationController) { rc.Spec.Selector = map[string]string{"a": "b"} },
			[]string{"spec.template.metadata.labels: Invalid value: {\"app\":\"web\"}: `selector` does not match template `labels`"}},
		{"ends", func(rc *corev1.ReplicationController) {
			rc.Spec.Template.Spec.RestartPolicy, rc.Spec.Template.Spec.ActiveDeadlineSeconds = "Never", ptr(int64(1))
		}, []string{
			`spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"`,
			"spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicationController is not Supported",
		}},
	})
	noted := func() *corev1.ReplicationController {
		rc := simpleController()
		rc.Annotations = map[string]string{"non-convertible.kubernetes.io/spec.selector": "x", "non-convertible.kubernetes.io/y": "z", "a/b/c": ""}
		return rc
	}
	runValidateUpdate(t, ReplicationController, noted, []errorCase[*corev1.ReplicationController]{
		{"unconvertible", func(rc *corev1.ReplicationController) {
			rc.Annotations, rc.Spec.Selector, rc.Spec.Template.Labels = nil, map[string]string{"a": "b"}, map[string]string{"a": "b"}
		}, []string{
			`spec.selector: Invalid value: {"a":"b"}: cannot update non-convertible selector`, `y: Not found: "z": unknown non-convertible field`,
		}},
	})
	rc := simpleController()
	rc.Status = corev1.ReplicationControllerStatus{Replicas: 1, FullyLabeledReplicas: 2, ReadyReplicas: -1, AvailableReplicas: 1}
	want := []string{
		"status.readyReplicas: Invalid value: -1: must be greater than or equal to 0",
		"status.fullyLabeledReplicas: Invalid value: 2: cannot be greater than status.replicas",
		"status.availableReplicas: Invalid value: 1: cannot be greater than readyReplicas",
	}
	if diff := cmp.Diff(want, texts(ReplicationController.Subresource("status").Validate(rc, rc))); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

func TestReplicationControllerWarnings(t *testing.T) {
	rc, old := simpleController(), simpleController()
	rc.Name, rc.Generation = "a.b", 2
	old.Spec.Template.Spec.NodeSelector = map[string]string{"beta.kubernetes.io/os": "linux"}
	want := []string{"metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]"}
	if diff := cmp.Diff(want, ReplicationController.Warnings(rc, nil)); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}
	want = []string{`spec.template.spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead`}
	if diff := cmp.Diff(want, ReplicationController.Warnings(rc, old)); diff != "" {
		t.Errorf("updated (-want +got):\n%s", diff)
	}
}

func TestPodTemplates(t *testing.T) {
	simple := func() *corev1.PodTemplate {
		pt := &corev1.PodTemplate{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default"}, Template: *simpleController().Spec.Template}
		PodTemplate.Default(pt)
		return pt
	}
	runValidate(t, PodTemplate, simple, []errorCase[*corev1.PodTemplate]{
		{"valid", nil, nil},
		{"template", func(pt *corev1.PodTemplate) { pt.Template.Spec.Containers = nil }, []string{"template.spec.containers: Required value"}},
	})
	old, pt := simple(), simple()
	PodTemplate.PrepareCreate(old)
	pt.Template.Spec.NodeSelector = map[string]string{"beta.kubernetes.io/os": "linux"}
	if PodTemplate.PrepareUpdate(pt, old); old.Generation != 1 || pt.Generation != 2 {
		t.Errorf("generations %d, %d", old.Generation, pt.Generation)
	}
	want := []string{`template.spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead`}
	if diff := cmp.Diff(want, PodTemplate.Warnings(pt, old)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTemplateRows(t *testing.T) {
	now := metav1.NewTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	rc := simpleController()
	rc.Spec.Selector, rc.CreationTimestamp = map[string]string{"app": "web"}, metav1.NewTime(now.Add(-time.Minute))
	rc.Status = corev1.ReplicationControllerStatus{Replicas: 2, ReadyReplicas: 1}
	for _, tt := range []struct {
		kind *schema.Kind
		obj  schema.Object
		want []any
	}{
		{ReplicationController, rc, []any{"web", int64(0), int64(2), int64(1), "60s", "c", "nginx:1", "app=web"}},
		{ReplicationController, &corev1.ReplicationController{}, []any{"", int64(0), int64(0), int64(0), "<unknown>", "", "", "<none>"}},
		{PodTemplate, &corev1.PodTemplate{ObjectMeta: rc.ObjectMeta, Template: *rc.Spec.Template}, []any{"web", "c", "nginx:1", "app=web"}},
	} {
		got := tt.kind.Row(tt.obj, now)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.kind.Kind, diff)
		}
		if len(got) != len(tt.kind.Columns) {
			t.Errorf("%d cells for %d columns", len(got), len(tt.kind.Columns))
		}
	}
}
