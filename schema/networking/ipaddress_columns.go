package networking

import (
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"gantry/schema"
)

var ipAddressColumns = []metav1.TableColumnDefinition{
	schema.NameColumn(),
	schema.TextColumn("ParentRef", networkingv1.IPAddressSpec{}.SwaggerDoc()["parentRef"]),
}

// ipAddressRow has a third cell, the age, as Kubernetes' has: it is of no column.
func ipAddressRow(obj schema.Object, now metav1.Time) []any {
	a := obj.(*networkingv1.IPAddress)
	return []any{a.Name, parentText(a.Spec.ParentRef), schema.Age(a.CreationTimestamp, now)}
}

// parentText is "services/default/web".
func parentText(ref *networkingv1.ParentReference) string {
	if ref == nil {
		return schema.Unset
	}
	text := strings.ToLower(kschema.GroupResource{Group: ref.Group, Resource: ref.Resource}.String())
	if ref.Namespace != "" {
		text += "/" + ref.Namespace
	}
	return text + "/" + ref.Name
}
