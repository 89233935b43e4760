package disruption

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"gantry/registry"
	"gantry/schema"
	"gantry/schema/apps"
)

// scaleError tells why it is unknown how many pods there should be, whatever the cache shows.
type scaleError struct{ text string }

func (e *scaleError) Error() string { return e.text }

// needsScale returns whether a budget counts from how many pods there should be: one that says minAvailable as a number does not.
func needsScale(b *policyv1.PodDisruptionBudget) bool {
	s := &b.Spec
	return s.MaxUnavailable != nil || s.MinAvailable != nil && s.MinAvailable.Type == intstr.String
}

// scaleOf is how many pods there should be by the controllers of pods, each counted once. unmanaged: some pods have no controller.
func (c budgets) scaleOf(ctx context.Context, b *policyv1.PodDisruptionBudget, podList []*corev1.Pod) (wanted int32, unmanaged bool, err error) {
	if !needsScale(b) {
		return 0, false, nil
	}
	scales, known := map[types.UID]int32{}, map[types.UID]bool{}
	for _, p := range podList {
		ref := metav1.GetControllerOfNoCopy(p)
		if ref == nil {
			unmanaged = true
			continue
		}
		if known[ref.UID] {
			continue
		}
		known[ref.UID] = true
		uid, scale, err := c.scaleOfOwner(ctx, p.Namespace, ref)
		if err != nil {
			return 0, false, err
		}
		if uid == "" {
			return 0, false, &scaleError{fmt.Sprintf("found no controllers for pod %q", p.Name)}
		}
		scales[uid] = scale
	}
	for _, n := range scales {
		wanted += n
	}
	return wanted, unmanaged, nil
}

// scaleOfOwner is the scale of a controller of pods, which for a replica set is that of its deployment; "": it is gone.
func (c budgets) scaleOfOwner(ctx context.Context, ns string, ref *metav1.OwnerReference) (types.UID, int32, error) {
	k := c.Registry.Kinds().Set().Kind(ref.APIVersion, ref.Kind)
	if k == nil {
		return "", 0, &scaleError{fmt.Sprintf("no matches for kind %q in version %q", ref.Kind, ref.APIVersion)}
	}
	if k.Scale() == nil {
		return "", 0, &scaleError{kschema.GroupResource{Group: k.Group, Resource: k.Plural}.String() + " does not implement the scale subresource"}
	}
	obj, err := c.find(ctx, k, ns, ref)
	if err != nil || obj == nil {
		return "", 0, err
	}
	if above := metav1.GetControllerOf(obj); k == apps.ReplicaSet && above != nil && above.Kind == apps.Deployment.Kind && above.APIVersion == apps.Deployment.APIVersion() {
		deployment, err := c.find(ctx, apps.Deployment, ns, above)
		if err != nil {
			return "", 0, err
		}
		if deployment != nil {
			return above.UID, apps.Deployment.Scale().SpecOf(deployment), nil
		}
	}
	return ref.UID, k.Scale().SpecOf(obj), nil
}

// find is the object that a reference means; nil: it does not exist, by a consistent read.
func (c budgets) find(ctx context.Context, k *schema.Kind, ns string, ref *metav1.OwnerReference) (schema.Object, error) {
	for _, resourceVersion := range []string{"0", ""} {
		item, err := c.Registry.Get(ctx, k, ns, ref.Name, resourceVersion)
		switch {
		case errors.Is(err, registry.NotFound):
		case err != nil:
			return nil, err
		case types.UID(item.UID()) == ref.UID:
			return item.ObjectAs(ctx, k.Stored())
		}
	}
	return nil, nil
}
