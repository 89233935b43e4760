package registry

import (
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/schema"
)

// namespaceHooks: a namespace is kept by the finalizers of its spec until it is empty.
var namespaceHooks = hooks{
	deletion:     planNamespace,
	refuseDelete: refuseNamespaceDelete,
	keeps:        func(obj schema.Object) bool { return len(obj.(*corev1.Namespace).Spec.Finalizers) > 0 },
}

// refuseNamespaceDelete words what Kubernetes words for namespaces alone.
func refuseNamespaceDelete(it *Item, o DeleteOptions) string {
	if o.UID != "" && o.UID != it.uid {
		return fmt.Sprintf("Precondition failed: UID in precondition: %v, UID in object meta: %v", o.UID, it.uid)
	}
	if rv := strconv.FormatInt(it.Revision, 10); o.ResourceVersion != "" && o.ResourceVersion != rv {
		return fmt.Sprintf("Precondition failed: ResourceVersion in precondition: %v, ResourceVersion in object meta: %v", o.ResourceVersion, rv)
	}
	return ""
}

// planNamespace decides the deletion of a namespace: the first makes it Terminating; the namespace controller removes the finalizers
// of its spec once it is empty.
func planNamespace(obj schema.Object, o DeleteOptions, now time.Time) deletionPlan {
	ns := obj.(*corev1.Namespace)
	if ns.DeletionTimestamp == nil {
		setPropagation(ns, o)
		markDeleted(ns, now, 0)
		ns.DeletionGracePeriodSeconds = nil
		ns.Status.Phase = corev1.NamespaceTerminating
		return marked
	}
	if len(ns.Spec.Finalizers) > 0 {
		return unchanged
	}
	return planWithFinalizers(ns, o, now)
}
