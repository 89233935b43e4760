package authorize

import (
	"errors"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"gantry/agents/gateway/request"
	"gantry/registry"
	"gantry/schema/core"
	"gantry/schema/pods"
)

// restrictPodStatus: a node changes the status of the pods bound to it, and nothing there that gives it more.
func restrictPodStatus(node string, pod, old *corev1.Pod) error {
	switch {
	case old.Spec.NodeName != node:
		return fmt.Errorf("node %q can only update pod status for pods with spec.nodeName set to itself", node)
	case !maps.Equal(pod.Labels, old.Labels):
		return fmt.Errorf("node %q cannot update labels through pod status", node)
	case !equality.Semantic.DeepEqual(pod.Status.ResourceClaimStatuses, old.Status.ResourceClaimStatuses):
		return fmt.Errorf("node %q cannot update resource claim statues", node)
	case !equality.Semantic.DeepEqual(pod.Status.ExtendedResourceClaimStatus, old.Status.ExtendedResourceClaimStatus):
		return fmt.Errorf("node %q cannot update extended resource claim status", node)
	}
	return nil
}

// restrictMirror: a node creates only mirrors of its static pods, which it owns and which refer to nothing:
//   - the mirror annotation is there and the pod is bound to the node;
//   - its one owner is the Node, by its uid, as controller, and does not block the Node's deletion;
//   - no other object of the API is named, so that the node gets no right to read one by a pod of its own making.
func (n NodeRestriction) restrictMirror(r *request.Request, node string, pod *corev1.Pod) error {
	switch {
	case !pods.IsMirror(pod.Annotations):
		return fmt.Errorf("pod does not have %q annotation, node %q can only create mirror pods", corev1.MirrorPodAnnotationKey, node)
	case pod.Spec.NodeName != node:
		return fmt.Errorf("node %q can only create pods with spec.nodeName set to itself", node)
	case len(pod.OwnerReferences) > 1:
		return fmt.Errorf("node %q can only create pods with a single owner reference set to itself", node)
	case len(pod.OwnerReferences) == 0:
		return fmt.Errorf("node %q can only create pods with an owner reference set to itself", node)
	}
	owner := pod.OwnerReferences[0]
	switch {
	case owner.APIVersion != "v1" || owner.Kind != "Node" || owner.Name != node:
		return fmt.Errorf("node %q can only create pods with an owner reference set to itself", node)
	case owner.Controller == nil || !*owner.Controller:
		return fmt.Errorf("node %q can only create pods with a controller owner reference set to itself", node)
	case owner.BlockOwnerDeletion != nil && *owner.BlockOwnerDeletion:
		return fmt.Errorf("node %q must not set blockOwnerDeletion on an owner reference", node)
	}
	item, err := n.Registry.Get(r.Context(), core.Node, "", node, "")
	switch {
	case errors.Is(err, registry.NotFound):
		return err
	case err != nil:
		return fmt.Errorf("error looking up node %s to verify uid: %w", node, err)
	case item.UID() != string(owner.UID):
		return fmt.Errorf("node %s UID mismatch: expected %s got %s", node, owner.UID, item.UID())
	}
	what, err := referredTo(pod)
	switch {
	case err != nil:
		return fmt.Errorf("error checking mirror pod for API references: %w", err)
	case what != "":
		return fmt.Errorf("node %q can not create pods that reference %s", node, what)
	}
	return nil
}
