package networking

import (
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

var ingressClassColumns = []metav1.TableColumnDefinition{
	schema.NameColumn(),
	schema.TextColumn("Controller", "Controller that is responsible for handling this class"),
	schema.TextColumn("Parameters", "A reference to a resource with additional parameters"),
	schema.AgeColumn(),
}

func ingressClassRow(obj schema.Object, now metav1.Time) []any {
	c := obj.(*networkingv1.IngressClass)
	name, parameters := c.Name, schema.Unset
	if c.Annotations[networkingv1.AnnotationIsDefaultIngressClass] == "true" {
		name += " (default)"
	}
	if ref := c.Spec.Parameters; ref != nil {
		parameters = ref.Kind
		if ref.APIGroup != nil {
			parameters += "." + *ref.APIGroup
		}
		parameters += "/" + ref.Name
	}
	return []any{name, c.Spec.Controller, parameters, schema.Age(c.CreationTimestamp, now)}
}
