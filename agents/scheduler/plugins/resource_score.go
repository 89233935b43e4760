package plugins

import (
	"math"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	schedulerv1 "k8s.io/kube-scheduler/config/v1"

	"gantry/agents/scheduler/framework"
)

// defaultScored are the resources that are scored where the arguments name none.
var defaultScored = []schedulerv1.ResourceSpec{{Name: string(corev1.ResourceCPU), Weight: 1}, {Name: string(corev1.ResourceMemory), Weight: 1}}

// amount is what a node has of a resource, and what is requested of it with a pod.
type amount struct{ requested, allocatable int64 }

// amountOf returns the amounts of a resource for scoring; the zero value: it is not scored. CPU and memory are counted with the defaults of
// containers that request none.
func amountOf(name corev1.ResourceName, sig *framework.PodSignature, n *framework.NodeInfo) amount {
	switch name {
	case corev1.ResourceCPU:
		return amount{n.ScoredCPU + sig.ScoredCPU, n.Allocatable.CPU}
	case corev1.ResourceMemory:
		return amount{n.ScoredMemory + sig.ScoredMemory, n.Allocatable.Memory}
	case corev1.ResourceEphemeralStorage:
		return amount{n.Requested.Storage + sig.Requests.Storage, n.Allocatable.Storage}
	}
	if sig.Requests.Extended[name] == 0 {
		return amount{}
	}
	return amount{n.Requested.Extended[name] + sig.Requests.Extended[name], n.Allocatable.Extended[name]}
}

// used returns the share of the allocatable amount that is requested, in steps of 1/MaxNodeScore and at most MaxNodeScore.
func (a amount) used() int64 {
	if a.requested >= a.allocatable {
		return framework.MaxNodeScore
	}
	return int64(float64(a.requested) * framework.MaxNodeScore / float64(a.allocatable))
}

// free returns the share that is not requested.
func (a amount) free() int64 {
	if a.requested >= a.allocatable {
		return 0
	}
	return int64(float64(a.allocatable-a.requested) * framework.MaxNodeScore / float64(a.allocatable))
}

// scoreResources returns the score of the weighted mean of what score returns for each resource. skipZero: resources of the score 0 are left
// out of the mean, and the mean is rounded, as upstream does for RequestedToCapacityRatio.
func scoreResources(resources []schedulerv1.ResourceSpec, skipZero bool, score func(amount) int64) func(*framework.PreFilterState, any, *framework.NodeInfo) float64 {
	return func(state *framework.PreFilterState, _ any, n *framework.NodeInfo) float64 {
		var sum, weights int64
		for i := range resources {
			a := amountOf(corev1.ResourceName(resources[i].Name), state.Signature, n)
			if a.allocatable <= 0 {
				continue
			}
			if s := score(a); s > 0 || !skipZero {
				sum += s * resources[i].Weight
				weights += resources[i].Weight
			}
		}
		switch {
		case weights == 0:
			return 0
		case skipZero:
			return math.Round(float64(sum) / float64(weights))
		}
		return float64(sum / weights)
	}
}

// interpolate returns the score of a utilization on the line through the points of a shape.
func interpolate(shape []schedulerv1.UtilizationShapePoint, utilization int64) int64 {
	const scale = framework.MaxNodeScore / maxShapeScore
	i := slices.IndexFunc(shape, func(p schedulerv1.UtilizationShapePoint) bool { return utilization <= int64(p.Utilization) })
	switch {
	case i < 0:
		return int64(shape[len(shape)-1].Score) * scale
	case i == 0:
		return int64(shape[0].Score) * scale
	}
	a, b := shape[i-1], shape[i]
	return int64(a.Score)*scale + int64(b.Score-a.Score)*scale*(utilization-int64(a.Utilization))/int64(b.Utilization-a.Utilization)
}

// maxShapeScore is the best score of a point of a shape.
const maxShapeScore = 10

// validateShape: a shape has a point at least; utilizations grow and are 0 to 100, scores 0 to maxShapeScore.
func validateShape(path *field.Path, shape []schedulerv1.UtilizationShapePoint) (faults field.ErrorList) {
	if len(shape) == 0 {
		return field.ErrorList{field.Required(path, "at least one point must be specified")}
	}
	for i, p := range shape {
		at := path.Index(i)
		if i > 0 && shape[i-1].Utilization >= p.Utilization {
			faults = append(faults, field.Invalid(at.Child("utilization"), p.Utilization, "values must be sorted in increasing order"))
		}
		if p.Utilization < 0 || p.Utilization > 100 {
			faults = append(faults, field.Invalid(at.Child("utilization"), p.Utilization, "not in valid range [0, 100]"))
		}
		if p.Score < 0 || p.Score > maxShapeScore {
			faults = append(faults, field.Invalid(at.Child("score"), p.Score, "not in valid range [0, 10]"))
		}
	}
	return faults
}

// scoredResources returns the resources to score, with their weights, and the faults of them.
func scoredResources(path *field.Path, resources []schedulerv1.ResourceSpec) ([]schedulerv1.ResourceSpec, field.ErrorList) {
	if len(resources) == 0 {
		return defaultScored, nil
	}
	var faults field.ErrorList
	resources = slices.Clone(resources)
	for i := range resources {
		if resources[i].Weight == 0 {
			resources[i].Weight = 1
		}
		if w := resources[i].Weight; w < 0 || w > 100 {
			faults = append(faults, field.Invalid(path.Index(i).Child("weight"), w, "resource weight of "+resources[i].Name+" not in valid range (0, 100]"))
		}
	}
	return resources, faults
}
