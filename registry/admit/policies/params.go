package policies

import (
	"context"
	"errors"
	"fmt"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/registry/admit"
	"gantry/registry/admit/match"
	"gantry/schema"
)

// paramsFor are the parameters that a binding gives to a policy for a request; none where the binding is not about it.
func paramsFor(ctx context.Context, read admit.Reader, q *admit.Request, kind *admissionv1.ParamKind, about *admissionv1.MatchResources, ref *admissionv1.ParamRef) ([]runtime.Object, error) {
	v, err := match.Resources(ctx, read, q, about)
	if err != nil || v == nil {
		return nil, err
	}
	return paramsOf(ctx, read, q, kind, ref)
}

// paramsOf are the parameters that a binding gives to a policy. Without parameters it is one, which is nil.
func paramsOf(ctx context.Context, read admit.Reader, q *admit.Request, kind *admissionv1.ParamKind, ref *admissionv1.ParamRef) ([]runtime.Object, error) {
	if kind == nil || ref == nil {
		return []runtime.Object{nil}, nil
	}
	k := read.KindOf(kind.APIVersion, kind.Kind)
	if k == nil {
		return nil, fmt.Errorf("paramKind kind `%v` not known", kind)
	}
	namespace := ""
	switch {
	case k.Namespaced && ref.Namespace != "":
		namespace = ref.Namespace
	case k.Namespaced && q.Namespace != "":
		namespace = q.Namespace
	case k.Namespaced:
		return nil, errors.New("cannot use namespaced paramRef in policy binding that matches cluster-scoped resources")
	case ref.Namespace != "":
		return nil, errors.New("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
	}
	found, err := selected(ctx, read, k, namespace, ref)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 && ref.ParameterNotFoundAction != nil && *ref.ParameterNotFoundAction == admissionv1.DenyAction {
		return nil, errors.New("no params found for policy binding with `Deny` parameterNotFoundAction")
	}
	out := make([]runtime.Object, len(found))
	for i, obj := range found {
		if obj.GetObjectKind().GroupVersionKind().Empty() {
			obj = obj.DeepCopyObject().(schema.Object)
			k.SetTypeMeta(obj)
		}
		out[i] = obj
	}
	return out, nil
}

func selected(ctx context.Context, read admit.Reader, k *schema.Kind, namespace string, ref *admissionv1.ParamRef) (out []schema.Object, err error) {
	switch {
	case ref.Name != "" && ref.Selector != nil:
		return nil, errors.New("paramRef.name and paramRef.selector are mutually exclusive")
	case ref.Name != "":
		found, err := read.Find(ctx, k.Group, k.Plural, namespace, ref.Name)
		if err != nil || found.Object == nil {
			return nil, err
		}
		return []schema.Object{found.Object}, nil
	case ref.Selector == nil:
		return nil, errors.New("one of name or selector must be provided")
	}
	s, err := metav1.LabelSelectorAsSelector(ref.Selector)
	if err != nil {
		return nil, err
	}
	list, err := read.List(ctx, k.Group, k.Plural, namespace)
	if err != nil {
		return nil, err
	}
	for _, obj := range list {
		if s.Matches(labels.Set(obj.GetLabels())) {
			out = append(out, obj)
		}
	}
	return out, nil
}
