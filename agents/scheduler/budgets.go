package scheduler

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"gantry/registry"
)

// budget is a pod disruption budget as preemption reads it.
type budget struct {
	selector labels.Selector
	allowed  int32
	// disrupted are the pods, by name, that the budget has paid for already.
	disrupted map[string]bool
}

// setBudget sets a disruption budget; nil: it was deleted. One that selects every pod, or that cannot be read, counts for none, as in
// kube-scheduler.
func (s *schedulingState) setBudget(namespace, name string, object *policyv1.PodDisruptionBudget) {
	delete(s.budgets[namespace], name)
	if len(s.budgets[namespace]) == 0 {
		delete(s.budgets, namespace)
	}
	if object == nil {
		return
	}
	selector, err := metav1.LabelSelectorAsSelector(object.Spec.Selector)
	if err != nil || selector.Empty() {
		return
	}
	b := budget{selector: selector, allowed: object.Status.DisruptionsAllowed, disrupted: map[string]bool{}}
	for pod := range object.Status.DisruptedPods {
		b.disrupted[pod] = true
	}
	if s.budgets[namespace] == nil {
		s.budgets[namespace] = map[string]budget{}
	}
	s.budgets[namespace][name] = b
}

// violating are those of pods, the most important first, whose eviction one after the other violates a budget.
func (s *schedulingState) violating(pods []*pod) map[*pod]bool {
	if len(s.budgets) == 0 {
		return nil
	}
	out, spent := map[*pod]bool{}, map[string]int32{}
	for _, p := range pods {
		set := p.Signature.Pod.Labels
		if len(set) == 0 {
			continue
		}
		namespace, pod, _ := strings.Cut(p.Key, "/")
		for _, name := range slices.Sorted(maps.Keys(s.budgets[namespace])) {
			b := s.budgets[namespace][name]
			if b.disrupted[pod] || !b.selector.Matches(labels.Set(set)) {
				continue
			}
			key := keyOf(namespace, name)
			if spent[key]++; spent[key] > b.allowed {
				out[p] = true
			}
		}
	}
	return out
}

// byImportance compares pods: of higher priority, then older first.
func byImportance(a, b *pod) int {
	return cmp.Or(cmp.Compare(b.Signature.Priority, a.Signature.Priority), cmp.Compare(a.arrival, b.arrival))
}

func (l *leader) budgetChanged(c registry.Change) {
	if c.New == nil {
		l.state.setBudget(c.Old.Namespace, c.Old.Name, nil)
		return
	}
	l.state.setBudget(c.New.Namespace, c.New.Name, c.New.Object().(*policyv1.PodDisruptionBudget))
}
