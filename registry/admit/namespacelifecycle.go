package admit

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

// wantsNamespace tells whether the rule concerns a request: every create in a namespace, and deletions of namespaces.
func wantsNamespace(o Operation, k *schema.Kind, subresource string) bool {
	return o == Create && k.Namespaced || o == Delete && k.Group == "" && k.Plural == "namespaces" && subresource == ""
}

// namespaceLifecycle refuses to create in a namespace that does not exist (404) or is terminating (403), and to delete the namespaces
// that every cluster needs.
func namespaceLifecycle(ctx context.Context, read Reader, q *Request) error {
	if q.Operation == Delete {
		switch q.Name {
		case metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic:
			return denied("this namespace may not be deleted")
		}
		return nil
	}
	if !read.Serves("", "namespaces") {
		return nil
	}
	found, err := read.Find(ctx, "", "namespaces", "", q.Namespace)
	if err == nil && found.Object != nil && takesObjects(q.Namespace, found.Object) != nil { // it may have been created anew since
		found, err = read.Latest(ctx, "", "namespaces", "", q.Namespace)
	}
	if err != nil {
		return fmt.Errorf("looking up namespace %s: %w", q.Namespace, err)
	}
	if err := takesObjects(q.Namespace, found.Object); err != nil {
		return err
	}
	q.Hold(found)
	return nil
}

// takesObjects returns why no objects can be created in a namespace; nil: they can. ns nil: it does not exist.
func takesObjects(name string, ns schema.Object) error {
	if ns == nil {
		return &Missing{Resource: "namespaces", Kind: "Namespace", Name: name}
	}
	if ns.(*corev1.Namespace).Status.Phase != corev1.NamespaceTerminating && ns.GetDeletionTimestamp() == nil {
		return nil
	}
	return &Denied{
		Reason: fmt.Sprintf("unable to create new content in namespace %s because it is being terminated", name),
		Causes: []metav1.StatusCause{{
			Type:    corev1.NamespaceTerminatingCause,
			Message: fmt.Sprintf("namespace %s is being terminated", name),
			Field:   "metadata.namespace",
		}},
	}
}
