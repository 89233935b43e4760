// Package kindstest has two kinds for tests of what must hold for every kind, whether it is built in or comes while the program
// runs: one with Go types, served in two groups, and one without any, served in three versions.
package kindstest

import (
	"maps"

	extensionsv1beta1 "k8s.io/api/extensions/v1beta1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema"
)

// Route is an ingress by another name: stored in routes.example.com/v1, and served in legacy.example.com/v1beta1 too, where the
// class is called by another name.
func Route() *schema.Kind {
	return &schema.Kind{
		Version: schema.Version{
			Group: "routes.example.com", Version: "v1", Kind: "Route",
			New:     func() schema.Object { return &networkingv1.Ingress{} },
			NewList: func() runtime.Object { return &networkingv1.IngressList{} },
			Fields: []schema.Field{schema.FieldOf("spec.ingressClassName", func(r *networkingv1.Ingress) string {
				return text(r.Spec.IngressClassName)
			})},
			Columns: []metav1.TableColumnDefinition{schema.NameColumn(), schema.TextColumn("Class", "its class")},
			Row: func(obj schema.Object, _ metav1.Time) []any {
				return []any{obj.GetName(), text(obj.(*networkingv1.Ingress).Spec.IngressClassName)}
			},
		},
		Versions: []*schema.Version{{
			Group: "legacy.example.com", Version: "v1beta1", Kind: "Route",
			New:        func() schema.Object { return &extensionsv1beta1.Ingress{} },
			NewList:    func() runtime.Object { return &extensionsv1beta1.IngressList{} },
			ToStored:   schema.EachTo(routeToStored),
			FromStored: schema.EachTo(routeFromStored),
			Fields:     []schema.Field{{Path: "class", Stored: "spec.ingressClassName"}},
			Columns:    []metav1.TableColumnDefinition{schema.NameColumn(), schema.TextColumn("Legacy Class", "its class")},
			Row: func(obj schema.Object, _ metav1.Time) []any {
				return []any{obj.GetName(), obj.GetAnnotations()[ClassAnnotation]}
			},
			DeprecationWarning: "legacy.example.com/v1beta1 Route is deprecated; use routes.example.com/v1 Route",
		}},
		Plural: "routes", Singular: "route", ShortNames: []string{"rt"}, Namespaced: true,
		Prefix:              "routes.example.com/routes",
		UnconditionalUpdate: true,
		Subresources: []schema.Subresource{schema.Status(
			func(r, old *networkingv1.Ingress) { r.Spec = old.Spec },
			func(r, old *networkingv1.Ingress) field.ErrorList { return nil },
		)},
		PrepareCreate: schema.Preparation(func(r *networkingv1.Ingress) {
			r.Generation, r.Status = 1, networkingv1.IngressStatus{}
		}),
		PrepareUpdate:  schema.UpdatePreparation(func(r, old *networkingv1.Ingress) { r.Status = old.Status }),
		Validate:       schema.Validation(func(*networkingv1.Ingress) field.ErrorList { return nil }),
		ValidateUpdate: schema.UpdateValidation(func(_, _ *networkingv1.Ingress) field.ErrorList { return nil }),
	}
}

// ClassAnnotation is where v1beta1 of Route has the class.
const ClassAnnotation = "legacy.example.com/class"

func routeToStored(old *extensionsv1beta1.Ingress) *networkingv1.Ingress {
	r := &networkingv1.Ingress{ObjectMeta: old.ObjectMeta}
	if class, there := old.Annotations[ClassAnnotation]; there {
		r.Annotations = maps.Clone(old.Annotations)
		delete(r.Annotations, ClassAnnotation)
		r.Spec.IngressClassName = &class
	}
	for _, in := range old.Status.LoadBalancer.Ingress {
		r.Status.LoadBalancer.Ingress = append(r.Status.LoadBalancer.Ingress, networkingv1.IngressLoadBalancerIngress{IP: in.IP})
	}
	return r
}

func routeFromStored(r *networkingv1.Ingress) *extensionsv1beta1.Ingress {
	old := &extensionsv1beta1.Ingress{ObjectMeta: r.ObjectMeta}
	if class := r.Spec.IngressClassName; class != nil {
		old.Annotations = maps.Clone(r.Annotations)
		if old.Annotations == nil {
			old.Annotations = map[string]string{}
		}
		old.Annotations[ClassAnnotation] = *class
	}
	for _, in := range r.Status.LoadBalancer.Ingress {
		old.Status.LoadBalancer.Ingress = append(old.Status.LoadBalancer.Ingress, extensionsv1beta1.IngressLoadBalancerIngress{IP: in.IP})
	}
	return old
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// Widget has no Go types: stored in example.com/v1; v1beta1 calls spec.replicas spec.size, v1alpha1 has v1's fields.
func Widget() *schema.Kind {
	k := &schema.Kind{
		Version: schema.Version{
			Group: "example.com", Version: "v1", Kind: "Widget",
			New: schema.NewUnstructured, NewList: schema.NewUnstructuredList,
			Default: schema.Preparation(func(u *unstructured.Unstructured) {
				if spec, ok := u.Object["spec"].(map[string]any); ok && spec["colour"] == nil {
					spec["colour"] = "red"
				}
			}),
			Prune: func(obj schema.Object) (unknown []string, err error) {
				u := obj.(*unstructured.Unstructured)
				if _, there := u.Object["bogus"]; there {
					delete(u.Object, "bogus")
					unknown = append(unknown, "bogus")
				}
				return unknown, nil
			},
			Fields: []schema.Field{schema.FieldOf("spec.colour", func(u *unstructured.Unstructured) string {
				colour, _, _ := unstructured.NestedString(u.Object, "spec", "colour")
				return colour
			})},
		},
		Versions: []*schema.Version{
			{
				Group: "example.com", Version: "v1beta1", Kind: "Widget",
				New: schema.NewUnstructured, NewList: schema.NewUnstructuredList,
				ToStored: schema.EachTo(renamed("size", "replicas")), FromStored: schema.EachTo(renamed("replicas", "size")),
				Fields: []schema.Field{{Path: "spec.colour"}},
			},
			{Group: "example.com", Version: "v1alpha1", Kind: "Widget", New: schema.NewUnstructured, NewList: schema.NewUnstructuredList},
		},
		Plural: "widgets", Singular: "widget", Namespaced: true,
		Prefix: "example.com/widgets",
		Subresources: []schema.Subresource{
			schema.ScaleAt(".spec.replicas", ".status.replicas", ".status.selector"),
			schema.UnstructuredStatus(func(_, _ *unstructured.Unstructured) field.ErrorList { return nil }),
		},
		Validate: schema.Validation(validateWidget),
		ValidateUpdate: schema.UpdateValidation(func(u, _ *unstructured.Unstructured) field.ErrorList {
			return validateWidget(u)
		}),
	}
	k.PrepareUnstructured()
	return k
}

func validateWidget(u *unstructured.Unstructured) field.ErrorList {
	if n, _, _ := unstructured.NestedInt64(u.Object, "spec", "replicas"); n > 100 {
		return field.ErrorList{field.Invalid(field.NewPath("spec", "replicas"), n, "must be at most 100")}
	}
	return nil
}

// renamed converts by giving a member of spec another name.
func renamed(from, to string) func(*unstructured.Unstructured) *unstructured.Unstructured {
	return func(u *unstructured.Unstructured) *unstructured.Unstructured {
		c := u.DeepCopy()
		if spec, ok := c.Object["spec"].(map[string]any); ok && spec[from] != nil {
			spec[to] = spec[from]
			delete(spec, from)
		}
		return c
	}
}
