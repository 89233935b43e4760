package networking

import (
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

var networkPolicyColumns = []metav1.TableColumnDefinition{
	schema.NameColumn(),
	schema.TextColumn("Pod-Selector", networkingv1.NetworkPolicySpec{}.SwaggerDoc()["podSelector"]),
	schema.AgeColumn(),
}

func networkPolicyRow(obj schema.Object, now metav1.Time) []any {
	np := obj.(*networkingv1.NetworkPolicy)
	return []any{np.Name, metav1.FormatLabelSelector(&np.Spec.PodSelector), schema.Age(np.CreationTimestamp, now)}
}
