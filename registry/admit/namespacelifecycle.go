package admit

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
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
	if ok && err == nil && takesObjects(q.Namespace, obj) != nil { // it may have been made anew since
		obj, ok, err = read.Latest(ctx, "", "namespaces", "", q.Namespace)
	}
	if err != nil {
		return fmt.Errorf("looking up namespace %s: %w", q.Namespace, err)
	}
	if !ok {
		obj = nil
	}
	if err := takesObjects(q.Namespace, obj); err != nil {
		return err
	}
	q.Held = append(q.Held, Held{Plural: "namespaces", Name: q.Namespace, ResourceVersion: obj.GetResourceVersion(), Again: takesObjects})
	return nil
}

// takesObjects tells why a namespace takes no new objects; nil: it does. ns nil: it is not there.
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
