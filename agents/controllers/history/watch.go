package history

import (
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controller"
	"gantry/schema"
	"gantry/schema/apps"
)

// Watch enqueues owners of a kind when a revision changes that they own or, for an orphan, select. hashLabel is the label of a revision with
// its hash. Two changes enqueue nothing, as with kube-controller-manager, where clients count on it: a new revision that has an owner, and
// labels that say nothing to it.
func Watch(e *controller.Env, kind *schema.Kind, index *controller.SelectorIndex, hashLabel string) controller.Watch {
	return controller.Watch{Kind: apps.ControllerRevision, Keys: func(old, current schema.Object) {
		switch {
		case old == nil && metav1.GetControllerOfNoCopy(current) != nil:
			return
		case old != nil && current != nil && index.SelectsAlike(old, current) && sameRevision(old.(*appsv1.ControllerRevision), current.(*appsv1.ControllerRevision), hashLabel):
			return
		}
		e.EnqueueOwner(kind.Kind, index, old, current)
	}}
}

func sameRevision(a, b *appsv1.ControllerRevision, hashLabel string) bool {
	return a.UID == b.UID && a.Revision == b.Revision && a.Labels[hashLabel] == b.Labels[hashLabel] && (a.DeletionTimestamp == nil) == (b.DeletionTimestamp == nil) &&
		equality.Semantic.DeepEqual(a.OwnerReferences, b.OwnerReferences)
}
