package admit

import (
	"context"

	networkingv1 "k8s.io/api/networking/v1"

	"gantry/schema"
)

// ingressClassAnnotation is where ingresses had their class before spec.ingressClassName.
const ingressClassAnnotation = "kubernetes.io/ingress.class"

// setIngressClass gives a new ingress that names no class the default one, if there is one.
func setIngressClass(ctx context.Context, read Reader, q *Request) error {
	in := q.Object.(*networkingv1.Ingress)
	if _, there := in.Annotations[ingressClassAnnotation]; there || in.Spec.IngressClassName != nil {
		return nil
	}
	class, err := newest(ctx, read, networkingv1.GroupName, "ingressclasses", func(obj schema.Object) bool {
		return obj.GetAnnotations()[networkingv1.AnnotationIsDefaultIngressClass] == "true"
	})
	if err == nil && class != "" {
		in.Spec.IngressClassName = &class
	}
	return err
}
