package apps

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"gantry/schema/internal/checktest"
)

func ptr[T any](v T) *T { return &v }

func simpleDeployment() *appsv1.Deployment {
	labels := map[string]string{"app": "web"}
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default"}}
	d.Spec.Selector = &metav1.LabelSelector{MatchLabels: labels}
	d.Spec.Template.Labels = labels
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "c", Image: "nginx"}}
	Deployment.Default(d)
	return d
}

func TestDeploymentDefaults(t *testing.T) {
	d := simpleDeployment()
	want := appsv1.DeploymentStrategy{Type: "RollingUpdate", RollingUpdate: &appsv1.RollingUpdateDeployment{
		MaxUnavailable: ptr(intstr.FromString("25%")), MaxSurge: ptr(intstr.FromString("25%"))}}
	if diff := cmp.Diff(want, d.Spec.Strategy); diff != "" {
		t.Errorf("strategy (-want +got):\n%s", diff)
	}
	if *d.Spec.Replicas != 1 || *d.Spec.RevisionHistoryLimit != 10 || *d.Spec.ProgressDeadlineSeconds != 600 {
		t.Errorf("got %+v", d.Spec)
	}
	if s := d.Spec.Template.Spec; s.RestartPolicy != "Always" || s.EnableServiceLinks != nil || s.Containers[0].ImagePullPolicy != "Always" {
		t.Errorf("template %+v", s)
	}
	recreate := &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Strategy: appsv1.DeploymentStrategy{Type: "Recreate"}}}
	Deployment.Default(recreate)
	if recreate.Spec.Strategy.RollingUpdate != nil {
		t.Error("Recreate got a rollingUpdate")
	}
}

func TestDeploymentErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   func(*appsv1.Deployment)
		want []string
	}{
		{"valid", func(*appsv1.Deployment) {}, nil},
		{"no selector", func(d *appsv1.Deployment) { d.Spec.Selector = nil }, []string{
			"spec.selector: Required value", "spec.template.metadata.labels: Invalid value: {\"app\":\"web\"}: `selector` does not match template `labels`",
		}},
		{"empty selector", func(d *appsv1.Deployment) { d.Spec.Selector = &metav1.LabelSelector{} }, []string{"spec.selector: Invalid value: {}: empty selector is invalid for deployment"}},
		{"selector does not match", func(d *appsv1.Deployment) { d.Spec.Template.Labels = map[string]string{"app": "x"} },
			[]string{"spec.template.metadata.labels: Invalid value: {\"app\":\"x\"}: `selector` does not match template `labels`"}},
		{"numbers", func(d *appsv1.Deployment) {
			d.Spec.Replicas, d.Spec.MinReadySeconds, d.Spec.RevisionHistoryLimit, d.Spec.ProgressDeadlineSeconds = ptr(int32(-1)), 700, ptr(int32(-1)), ptr(int32(600))
		}, []string{
			"spec.replicas: Invalid value: -1: must be greater than or equal to 0",
			"spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
			"spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds",
		}},
		{"strategy", func(d *appsv1.Deployment) { d.Spec.Strategy.Type = "Recreate" },
			[]string{"spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"}},
		{"nothing may change", func(d *appsv1.Deployment) {
			d.Spec.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{MaxUnavailable: ptr(intstr.FromInt32(0)), MaxSurge: ptr(intstr.FromString("0%"))}
		}, []string{"spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0"}},
		{"too much", func(d *appsv1.Deployment) {
			d.Spec.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{MaxUnavailable: ptr(intstr.FromString("101%")), MaxSurge: ptr(intstr.FromInt32(-1))}
		}, []string{
			"spec.strategy.rollingUpdate.maxSurge: Invalid value: -1: must be greater than or equal to 0",
			`spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%`,
		}},
		{"restart policy", func(d *appsv1.Deployment) { d.Spec.Template.Spec.RestartPolicy = "Never" },
			[]string{`spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"`}},
		{"template", func(d *appsv1.Deployment) {
			d.Spec.Template.Spec.Containers = nil
			d.Spec.Template.Spec.ActiveDeadlineSeconds = ptr(int64(5))
		}, []string{
			"spec.template.spec.containers: Required value",
			"spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := simpleDeployment()
			tt.in(d)
			if diff := cmp.Diff(tt.want, checktest.Texts(Deployment.Validate(d))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSelectorIsImmutable(t *testing.T) {
	old, d := simpleDeployment(), simpleDeployment()
	d.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web", "a": "b"}}
	d.Spec.Template.Labels = map[string]string{"app": "web", "a": "b"}
	want := []string{`spec.selector: Invalid value: {"matchLabels":{"a":"b","app":"web"}}: field is immutable`}
	if diff := cmp.Diff(want, checktest.Texts(Deployment.ValidateUpdate(d, old))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestGeneration(t *testing.T) {
	old := simpleDeployment()
	Deployment.PrepareCreate(old)
	for _, tt := range []struct {
		name string
		in   func(*appsv1.Deployment)
		want int64
	}{
		{"labels", func(d *appsv1.Deployment) { d.Labels = map[string]string{"a": "b"} }, 1},
		{"status", func(d *appsv1.Deployment) { d.Status.Replicas = 5 }, 1},
		{"claimed", func(d *appsv1.Deployment) { d.Generation = 99 }, 1},
		{"annotations", func(d *appsv1.Deployment) { d.Annotations = map[string]string{"a": "b"} }, 2},
		{"spec", func(d *appsv1.Deployment) { d.Spec.Paused = true }, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := old.DeepCopy()
			tt.in(d)
			Deployment.PrepareUpdate(d, old)
			if d.Generation != tt.want || d.Status.Replicas != 0 {
				t.Errorf("generation %d, want %d; status %+v", d.Generation, tt.want, d.Status)
			}
		})
	}
}

func TestScale(t *testing.T) {
	d := simpleDeployment()
	d.Status.Replicas = 2
	Deployment.Scale().Set(d, 7)
	if spec, status, selector := Deployment.Scale().Get(d); spec != 7 || status != 2 || selector != "app=web" {
		t.Errorf("got %d, %d, %q", spec, status, selector)
	}
	rs := &appsv1.ReplicaSet{}
	if spec, _, selector := ReplicaSet.Scale().Get(rs); spec != 0 || selector != "" {
		t.Errorf("of nothing: %d, %q", spec, selector)
	}
}

func TestStatusErrors(t *testing.T) {
	old, d := simpleDeployment(), simpleDeployment()
	old.Status.CollisionCount = ptr(int32(2))
	d.Status = appsv1.DeploymentStatus{Replicas: 1, UpdatedReplicas: 2, ReadyReplicas: -1, AvailableReplicas: 1, CollisionCount: ptr(int32(1))}
	want := []string{
		"status.readyReplicas: Invalid value: -1: must be greater than or equal to 0",
		"status.updatedReplicas: Invalid value: 2: cannot be greater than status.replicas",
		"status.availableReplicas: Invalid value: 1: cannot be greater than readyReplicas",
		"status.collisionCount: Invalid value: 1: cannot be decremented",
	}
	if diff := cmp.Diff(want, checktest.Texts(Deployment.Subresource("status").Validate(d, old))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	rs := &appsv1.ReplicaSet{Status: appsv1.ReplicaSetStatus{FullyLabeledReplicas: 1}}
	want = []string{"status.fullyLabeledReplicas: Invalid value: 1: cannot be greater than status.replicas"}
	if diff := cmp.Diff(want, checktest.Texts(ReplicaSet.Subresource("status").Validate(rs, rs))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
