package networking

import (
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

var serviceCIDRColumns = []metav1.TableColumnDefinition{
	schema.NameColumn(),
	schema.TextColumn("CIDRs", networkingv1.ServiceCIDRSpec{}.SwaggerDoc()["cidrs"]),
	schema.AgeColumn(),
}

func serviceCIDRRow(obj schema.Object, now metav1.Time) []any {
	c := obj.(*networkingv1.ServiceCIDR)
	return []any{c.Name, strings.Join(c.Spec.CIDRs, ","), schema.Age(c.CreationTimestamp, now)}
}
