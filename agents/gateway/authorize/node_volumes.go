package authorize

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"gantry/registry"
	"gantry/schema/core"
	"gantry/schema/volumes"
)

// claim lets a node read a claim that a pod bound to it uses.
func (n *Node) claim(ctx context.Context, node string, a Attributes) (Decision, string, error) {
	switch {
	case a.Verb != "get":
		return NoOpinion, "can only get individual resources of this type", nil
	case a.Subresource != "":
		return NoOpinion, "cannot get subresource", nil
	case a.Namespace == "" || a.Name == "":
		return NoOpinion, "No Object name found", nil
	}
	return n.related(ctx, node, a, func(pod *corev1.Pod) bool { return slices.Contains(volumes.ClaimNames(pod), a.Name) })
}

// volume lets a node read the volume of a claim that a pod bound to it uses, and read and update its own local volumes.
func (n *Node) volume(ctx context.Context, node string, a Attributes) (Decision, string, error) {
	switch {
	case !slices.Contains([]string{"get", "update", "patch"}, a.Verb):
		return NoOpinion, "can only get individual resources of this type", nil
	case a.Subresource != "":
		return NoOpinion, "cannot get subresource", nil
	case a.Name == "":
		return NoOpinion, "No Object name found", nil
	}
	for _, revision := range []string{"0", ""} {
		item, err := n.reg.Get(ctx, core.PersistentVolume, "", a.Name, revision)
		if errors.Is(err, registry.NotFound) && revision == "" {
			return Allowed, "", nil // the kubelet must learn that there is no such volume
		}
		if errors.Is(err, registry.NotFound) {
			continue
		}
		if err != nil {
			return NoOpinion, "", err
		}
		pv := item.Object().(*corev1.PersistentVolume)
		ok := volumes.LocalNodeOf(pv) == node
		if ref := pv.Spec.ClaimRef; !ok && a.Verb == "get" && ref != nil && ref.Namespace != "" {
			ok, err = n.anyPod(ctx, node, ref.Namespace, func(pod *corev1.Pod) bool { return slices.Contains(volumes.ClaimNames(pod), ref.Name) })
		}
		if ok || err != nil {
			return allowIf(ok), "", err
		}
	}
	return unrelated(node)
}

func allowIf(ok bool) Decision {
	if ok {
		return Allowed
	}
	return NoOpinion
}

// restrictVolume: of a local volume that is being deleted a node removes the finalizer that stands for the directory, and changes nothing
// else. old is nil for a create.
func restrictVolume(node string, obj, old *corev1.PersistentVolume) error {
	if old == nil {
		return fmt.Errorf("node %q is not allowed to create volumes", node)
	}
	if volumes.LocalNodeOf(old) != node {
		return fmt.Errorf("node %q can only update local volumes of its own", node)
	}
	want := old.DeepCopy()
	want.ResourceVersion, want.ManagedFields = obj.ResourceVersion, obj.ManagedFields
	want.Finalizers = slices.DeleteFunc(want.Finalizers, func(f string) bool { return f == volumes.LocalFinalizer })
	if old.DeletionTimestamp == nil || !equality.Semantic.DeepEqual(want, obj) {
		return fmt.Errorf("node %q can only remove the finalizer %s from a volume that is being deleted", node, volumes.LocalFinalizer)
	}
	return nil
}
