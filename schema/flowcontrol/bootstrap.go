package flowcontrol

import (
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap"
)

// exempt is the name of the mandatory objects, of both kinds, that bound nothing.
const exempt = flowcontrolv1.PriorityLevelConfigurationNameExempt

// MandatoryFlowSchemas are new objects of the flow schemas that every cluster has. Their specs cannot be changed.
func MandatoryFlowSchemas() []*flowcontrolv1.FlowSchema {
	return copies(bootstrap.MandatoryFlowSchemas)
}

// MandatoryPriorityLevels are new objects of the priority levels that every cluster has. Of their specs, spec.exempt alone can be changed.
func MandatoryPriorityLevels() []*flowcontrolv1.PriorityLevelConfiguration {
	return copies(bootstrap.MandatoryPriorityLevelConfigurations)
}

// SuggestedFlowSchemas are new objects of the flow schemas that a cluster begins with.
func SuggestedFlowSchemas() []*flowcontrolv1.FlowSchema {
	return copies(bootstrap.SuggestedFlowSchemas)
}

// SuggestedPriorityLevels are new objects of the priority levels that a cluster begins with.
func SuggestedPriorityLevels() []*flowcontrolv1.PriorityLevelConfiguration {
	return copies(bootstrap.SuggestedPriorityLevelConfigurations)
}

func copies[T interface{ DeepCopy() T }](all []T) []T {
	out := make([]T, len(all))
	for i, obj := range all {
		out[i] = obj.DeepCopy()
	}
	return out
}
