package plugins

import (
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	schedulerv1 "k8s.io/kube-scheduler/config/v1"

	"gantry/agents/scheduler/framework"
)

func filterNodeAffinity(state *framework.PreFilterState, _ any, n *framework.NodeInfo) ([]string, bool) {
	if ok, err := state.Signature.RequiredNodeAffinity.Match(n.Object); !ok || err != nil {
		return []string{"node(s) didn't match Pod's node affinity/selector"}, true
	}
	return nil, false
}

// scoreNodeAffinity returns the sum of the weights of the preferred terms that match.
func scoreNodeAffinity(state *framework.PreFilterState, _ any, n *framework.NodeInfo) float64 {
	if state.Signature.PreferredNodeAffinity == nil {
		return 0
	}
	return float64(state.Signature.PreferredNodeAffinity.Score(n.Object))
}

// configureNodeAffinity adds an affinity to that of every pod.
func configureNodeAffinity(row framework.Plugin, path *field.Path, decode func(framework.Args) *field.Error) (framework.Plugin, field.ErrorList) {
	var args schedulerv1.NodeAffinityArgs
	if err := decode(&args); err != nil {
		return row, field.ErrorList{err}
	}
	if args.AddedAffinity == nil {
		return row, nil
	}
	var faults field.ErrorList
	path = path.Child("addedAffinity")
	if required := args.AddedAffinity.RequiredDuringSchedulingIgnoredDuringExecution; required != nil {
		at := path.Child("requiredDuringSchedulingIgnoredDuringExecution")
		selector, err := nodeaffinity.NewNodeSelector(required)
		if err != nil {
			faults = append(faults, field.Invalid(at, field.OmitValueType{}, err.Error()))
		} else if own := row.Filter; own != nil {
			row.Filter = func(state *framework.PreFilterState, data any, n *framework.NodeInfo) ([]string, bool) {
				if !selector.Match(n.Object) {
					return []string{"node(s) didn't match scheduler-enforced node affinity"}, true
				}
				return own(state, data, n)
			}
		}
	}
	if preferred := args.AddedAffinity.PreferredDuringSchedulingIgnoredDuringExecution; len(preferred) > 0 {
		at := path.Child("preferredDuringSchedulingIgnoredDuringExecution")
		terms, err := nodeaffinity.NewPreferredSchedulingTerms(preferred)
		if err != nil {
			faults = append(faults, field.Invalid(at, field.OmitValueType{}, err.Error()))
		} else if own := row.Score; own != nil {
			row.Score = func(state *framework.PreFilterState, data any, n *framework.NodeInfo) float64 {
				return own(state, data, n) + float64(terms.Score(n.Object))
			}
		}
	}
	return row, faults
}
