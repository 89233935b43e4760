package lifecycle

import (
	"maps"
	"strconv"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"gantry/agents/controllers/controller"
	"gantry/schema"
	"gantry/schema/flowcontrol"
)

// autoUpdate tells whether the spec of a flow schema or priority level that a cluster begins with is kept as it is delivered: as its annotation says, and
// without one as long as nobody has changed the spec.
func autoUpdate(obj schema.Object) bool {
	if on, err := strconv.ParseBool(obj.GetAnnotations()[flowcontrolv1.AutoUpdateAnnotationKey]); err == nil {
		return on
	}
	return obj.GetGeneration() == 1
}

// planFlowControl keeps a flow schema or priority level as it is delivered and its annotation a truth about that. mandatory ones always are.
func planFlowControl(k *schema.Kind, is, delivered schema.Object, mandatory bool) []controller.Action {
	on := mandatory || autoUpdate(is)
	next := is.DeepCopyObject().(schema.Object)
	reason := "its annotation says whether it is updated"
	if said, err := strconv.ParseBool(is.GetAnnotations()[flowcontrolv1.AutoUpdateAnnotationKey]); err != nil || said != on {
		annotations := maps.Clone(is.GetAnnotations())
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[flowcontrolv1.AutoUpdateAnnotationKey] = strconv.FormatBool(on)
		next.SetAnnotations(annotations)
	}
	if on && setSpec(next, delivered) {
		reason = "it is kept as it is delivered"
	}
	if equality.Semantic.DeepEqual(is, next) {
		return nil
	}
	return []controller.Action{{Do: controller.Update, Kind: k, Object: next, Reason: reason}}
}

// setSpec gives obj the spec of another object of its type; changed is false where it has it. The shares of the level exempt are the administrator's.
func setSpec(obj, from schema.Object) (changed bool) {
	switch obj := obj.(type) {
	case *flowcontrolv1.FlowSchema:
		spec := from.(*flowcontrolv1.FlowSchema).Spec
		changed = !equality.Semantic.DeepEqual(obj.Spec, spec)
		obj.Spec = spec
	case *flowcontrolv1.PriorityLevelConfiguration:
		spec := from.(*flowcontrolv1.PriorityLevelConfiguration).Spec
		if spec.Exempt != nil && obj.Spec.Exempt != nil {
			spec.Exempt = obj.Spec.Exempt
		}
		changed = !equality.Semantic.DeepEqual(obj.Spec, spec)
		obj.Spec = spec
	}
	return changed
}

// isFlowControl tells whether objects of a kind carry the annotation.
func isFlowControl(k *schema.Kind) bool {
	return k == flowcontrol.FlowSchema || k == flowcontrol.PriorityLevelConfiguration
}
