package admit

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// namespaceLifecycle refuses new objects in a namespace that is not there (404) or is going away (403), and the
// deletion of the namespaces that a cluster cannot do without.
func namespaceLifecycle(ctx context.Context, read Reader, q *Request) error {
	if q.is("Namespace", Delete) {
		switch q.Name {
		case metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic:
			return denied("this namespace may not be deleted")
		}
	}
	if !q.Kind.Namespaced || q.Op != Create || !read.Serves("", "namespaces") {
		return nil
	}
	obj, ok, err := read.Find(ctx, "", "namespaces", "", q.Namespace)
	if err != nil {
		return fmt.Errorf("looking up namespace %s: %w", q.Namespace, err)
	}
	if !ok {
		return &Missing{Resource: "namespaces", Kind: "Namespace", Name: q.Namespace}
	}
	ns := obj.(*corev1.Namespace)
	if ns.Status.Phase != corev1.NamespaceTerminating && ns.DeletionTimestamp == nil {
		return nil
	}
	return &Denied{
		Reason: fmt.Sprintf("unable to create new content in namespace %s because it is being terminated", q.Namespace),
		Causes: []metav1.StatusCause{{
			Type:    corev1.NamespaceTerminatingCause,
			Message: fmt.Sprintf("namespace %s is being terminated", q.Namespace),
			Field:   "metadata.namespace",
		}},
	}
}
