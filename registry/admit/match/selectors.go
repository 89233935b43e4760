package match

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"gantry/registry/admit"
	"gantry/schema"
	"gantry/schema/core"
)

// Selectors are the two selectors of a webhook or a policy.
type Selectors struct{ namespaces, objects labels.Selector }

// NewSelectors reads selectors; nil selects everything.
func NewSelectors(namespaces, objects *metav1.LabelSelector) (s Selectors, err error) {
	if s.namespaces, err = selectorOf(namespaces); err != nil {
		return s, err
	}
	s.objects, err = selectorOf(objects)
	return s, err
}

func selectorOf(s *metav1.LabelSelector) (labels.Selector, error) {
	if s == nil {
		return labels.Everything(), nil
	}
	return metav1.LabelSelectorAsSelector(s)
}

// Select tells whether the selectors select a request. That of objects selects it by the labels that the object has or had. An object without
// namespace is selected by the other one, unless it is a Namespace itself.
func (s Selectors) Select(ctx context.Context, read admit.Reader, q *admit.Request) (bool, error) {
	if !s.objects.Empty() && !hasLabels(q.Object, s.objects) && !hasLabels(q.Old, s.objects) {
		return false, nil
	}
	if s.namespaces.Empty() {
		return true, nil
	}
	if q.Kind == core.Namespace && q.Subresource == "" && q.Object != nil {
		return hasLabels(q.Object, s.namespaces), nil
	}
	name := q.Namespace
	if q.Kind == core.Namespace {
		name = q.Name
	}
	if name == "" {
		return true, nil
	}
	ns, err := Namespace(ctx, read, name)
	if err != nil {
		return false, err
	}
	return hasLabels(ns, s.namespaces), nil
}

// Namespace finds the namespace of a request. Where it does not exist the request is rejected.
func Namespace(ctx context.Context, read admit.Reader, name string) (schema.Object, error) {
	found, err := read.Find(ctx, "", "namespaces", "", name)
	if err != nil {
		return nil, fmt.Errorf("finding namespace %s: %w", name, err)
	}
	if found.Object == nil {
		return nil, &admit.Rejected{Status: apierrors.NewNotFound(kschema.GroupResource{Resource: "namespaces"}, name).ErrStatus}
	}
	return found.Object, nil
}

func hasLabels(obj schema.Object, s labels.Selector) bool {
	return obj != nil && s.Matches(labels.Set(obj.GetLabels()))
}

// InternalError rejects a request with 500, worded as Kubernetes does.
func InternalError(err error) error {
	return &admit.Rejected{Status: apierrors.NewInternalError(err).ErrStatus}
}

// Forbidden rejects a request with 403, worded as Kubernetes does.
func Forbidden(q *admit.Request, err error) error {
	return &admit.Rejected{Status: apierrors.NewForbidden(q.Version.GV().WithResource(q.Kind.Plural).GroupResource(), q.Name, err).ErrStatus}
}

// BadRequest rejects a request with 400.
func BadRequest(format string, args ...any) error {
	return &admit.Rejected{Status: apierrors.NewBadRequest(fmt.Sprintf(format, args...)).ErrStatus}
}
