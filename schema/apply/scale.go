package apply

import (
	"context"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/managedfields"

	"gantry/schema"
)

// scaleKind are scales as objects of their own.
var scaleKind = &schema.Kind{Version: *schema.ScaleBody}

// ApplyScale applies config, a Scale, to the scale of live, an object of the stored version. It returns the Scale that this makes, and the
// managedFields of the object whose replicas are set to the Scale's. Errors are those of Apply.
func (t *Types) ApplyScale(ctx context.Context, w Write, live schema.Object, config []byte, force bool) (*autoscalingv1.Scale, []metav1.ManagedFieldsEntry, error) {
	parent := w.Kind
	handler := managedfields.NewScaleHandler(readable(parent, live.GetManagedFields()), parent.GV(), replicaPaths(parent))
	entries, err := handler.ToSubresource()
	if err != nil {
		return nil, nil, statusOf(err)
	}
	scale := parent.Scale().Of(live)
	scale.SetManagedFields(entries)
	w.Kind, w.Version = scaleKind, nil
	out, err := t.Apply(ctx, w, scale, config, force)
	if err != nil {
		return nil, nil, err
	}
	if entries, err = handler.ToParent(out.GetManagedFields()); err != nil {
		return nil, nil, statusOf(err)
	}
	return out.(*autoscalingv1.Scale), inSeconds(entries), nil
}

// replicaPaths are where the versions of a kind have what its scale sets.
func replicaPaths(k *schema.Kind) managedfields.ResourcePathMappings {
	at := pathOf(k.Scale().SpecReplicas)
	paths := managedfields.ResourcePathMappings{k.APIVersion(): at}
	for _, v := range k.Versions {
		paths[v.APIVersion()] = at
	}
	return paths
}
