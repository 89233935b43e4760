package apps

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

func TestRows(t *testing.T) {
	now := metav1.NewTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	meta := metav1.ObjectMeta{Name: "web", CreationTimestamp: metav1.NewTime(now.Add(-10 * time.Second))}
	owned := meta
	owned.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "DaemonSet", Name: "ds", Controller: ptr(true)}}
	three := int32(3)
	template := corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "one:1"}, {Name: "b", Image: "two"}}}}
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}, MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "t", Operator: metav1.LabelSelectorOpIn, Values: []string{"x", "y"}}}}
	tests := []struct {
		name string
		kind *schema.Kind
		obj  schema.Object
		want []any
	}{
		{"deployment", Deployment, &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Replicas: &three, Template: template, Selector: selector}, Status: appsv1.DeploymentStatus{ReadyReplicas: 1, UpdatedReplicas: 2, AvailableReplicas: 1}},
			[]any{"web", "1/3", int64(2), int64(1), "10s", "a,b", "one:1,two", "app=web,t in (x,y)"}},
		{"empty deployment", Deployment, &appsv1.Deployment{}, []any{"", "0/0", int64(0), int64(0), "<unknown>", "", "", "<none>"}},
		{"replicaset", ReplicaSet, &appsv1.ReplicaSet{ObjectMeta: meta, Spec: appsv1.ReplicaSetSpec{Replicas: &three, Template: template, Selector: selector}, Status: appsv1.ReplicaSetStatus{Replicas: 2, ReadyReplicas: 1}},
			[]any{"web", int64(3), int64(2), int64(1), "10s", "a,b", "one:1,two", "app=web,t in (x,y)"}},
		{"statefulset", StatefulSet, &appsv1.StatefulSet{ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{Replicas: &three, Template: template}, Status: appsv1.StatefulSetStatus{ReadyReplicas: 1}},
			[]any{"web", "1/3", "10s", "a,b", "one:1,two"}},
		{"daemonset", DaemonSet, &appsv1.DaemonSet{ObjectMeta: meta, Spec: appsv1.DaemonSetSpec{Template: template, Selector: selector}, Status: appsv1.DaemonSetStatus{DesiredNumberScheduled: 5, CurrentNumberScheduled: 4, NumberReady: 3, UpdatedNumberScheduled: 2, NumberAvailable: 1}},
			[]any{"web", int64(5), int64(4), int64(3), int64(2), int64(1), "<none>", "10s", "a,b", "one:1,two", "app=web,t in (x,y)"}},
		{"controllerrevision", ControllerRevision, &appsv1.ControllerRevision{ObjectMeta: owned, Revision: 3}, []any{"web", "daemonset.apps/ds", int64(3), "10s"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.kind.Row(tt.obj, now)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("cells (-want +got):\n%s", diff)
			}
			if len(got) != len(tt.kind.Columns) {
				t.Errorf("%d cells for %d columns", len(got), len(tt.kind.Columns))
			}
		})
	}
}
