package plugins

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	schedulerv1 "k8s.io/kube-scheduler/config/v1"

	"gantry/agents/scheduler/framework"
)

func filterNodeResources(state *framework.PreFilterState, _ any, n *framework.NodeInfo) ([]string, bool) {
	return fits(n, state.Signature, nil)
}

// fits returns the names of the resources that are short for sig on n, in a fixed order, and whether the empty node would be too small.
// ignored are extended resources that are not checked; nil: all are.
func fits(n *framework.NodeInfo, sig *framework.PodSignature, ignored func(corev1.ResourceName) bool) (short []string, unresolvable bool) {
	r, taken := &sig.Requests, n.Requested
	for p := range n.Nominated {
		if p.Signature.Priority > sig.Priority {
			taken = taken.Sum(&p.Signature.Requests)
		}
	}
	check := func(name string, want, used, have int64) {
		if want > 0 && want > have-used {
			short = append(short, name)
			unresolvable = unresolvable || want > have
		}
	}
	if taken.Pods+r.Pods > n.Allocatable.Pods {
		short = append(short, "Too many pods")
		unresolvable = r.Pods > n.Allocatable.Pods
	}
	check("Insufficient cpu", r.CPU, taken.CPU, n.Allocatable.CPU)
	check("Insufficient memory", r.Memory, taken.Memory, n.Allocatable.Memory)
	check("Insufficient ephemeral-storage", r.Storage, taken.Storage, n.Allocatable.Storage)
	for name, want := range r.Extended {
		if ignored != nil && ignored(name) {
			continue
		}
		check("Insufficient "+string(name), want, taken.Extended[name], n.Allocatable.Extended[name])
	}
	if len(r.Extended) > 1 {
		slices.Sort(short)
	}
	return short, unresolvable
}

// scoreLeastAllocated is the share of cpu and memory that would stay free.
var scoreLeastAllocated = scoreResources(defaultScored, false, amount.free)

// configureResourcesFit sets what is scored, and how, and which extended resources are not filtered.
func configureResourcesFit(row framework.Plugin, path *field.Path, decode func(framework.Args) *field.Error) (framework.Plugin, field.ErrorList) {
	var args schedulerv1.NodeResourcesFitArgs
	if err := decode(&args); err != nil {
		return row, field.ErrorList{err}
	}
	ignored, faults := ignoredResources(path, &args)
	if len(args.IgnoredResources)+len(args.IgnoredResourceGroups) > 0 && row.Filter != nil {
		row.Filter = func(state *framework.PreFilterState, _ any, n *framework.NodeInfo) ([]string, bool) {
			return fits(n, state.Signature, ignored)
		}
	}
	s := args.ScoringStrategy
	if s == nil {
		return row, faults
	}
	path = path.Child("scoringStrategy")
	resources, errs := scoredResources(path.Child("resources"), s.Resources)
	faults = append(faults, errs...)
	ratio, ratioPath := s.RequestedToCapacityRatio, path.Child("requestedToCapacityRatio")
	if ratio != nil && s.Type != schedulerv1.RequestedToCapacityRatio {
		faults = append(faults, field.Forbidden(ratioPath, "must be nil when type is not RequestedToCapacityRatio"))
	}
	score := scoreLeastAllocated
	switch s.Type {
	case schedulerv1.LeastAllocated:
		score = scoreResources(resources, false, amount.free)
	case schedulerv1.MostAllocated:
		score = scoreResources(resources, false, amount.used)
	case schedulerv1.RequestedToCapacityRatio:
		if ratio == nil {
			return row, append(faults, field.Required(ratioPath, "must be specified when type is RequestedToCapacityRatio"))
		}
		faults = append(faults, validateShape(ratioPath.Child("shape"), ratio.Shape)...)
		score = scoreResources(resources, true, func(a amount) int64 { return interpolate(ratio.Shape, a.used()) })
	default:
		faults = append(faults, field.NotSupported(path.Child("type"), s.Type, []schedulerv1.ScoringStrategyType{
			schedulerv1.LeastAllocated, schedulerv1.MostAllocated, schedulerv1.RequestedToCapacityRatio,
		}))
	}
	if row.Score != nil {
		row.Score = score
	}
	return row, faults
}

// ignoredResources returns which extended resources are not filtered.
func ignoredResources(path *field.Path, args *schedulerv1.NodeResourcesFitArgs) (func(corev1.ResourceName) bool, field.ErrorList) {
	var faults field.ErrorList
	for i, name := range args.IgnoredResources {
		faults = append(faults, metav1validation.ValidateLabelName(name, path.Child("ignoredResources").Index(i))...)
	}
	for i, group := range args.IgnoredResourceGroups {
		at := path.Child("ignoredResourceGroups").Index(i)
		if strings.Contains(group, "/") {
			faults = append(faults, field.Invalid(at, group, "resource group name can't contain '/'"))
		}
		faults = append(faults, metav1validation.ValidateLabelName(group, at)...)
	}
	return func(name corev1.ResourceName) bool {
		group, _, _ := strings.Cut(string(name), "/")
		return slices.Contains(args.IgnoredResources, string(name)) || slices.Contains(args.IgnoredResourceGroups, group)
	}, faults
}
