package whatif

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/schema/pods"
)

// moves is which pods came and went between two states.
type moves struct {
	gone, come []*corev1.Pod
	paired     map[types.UID]*corev1.Pod // of gone, what was made instead
}

// newMoves compares two states. A pod that came is the replacement of one of the same controller that went: of the same name where there
// is one, else of any: which of several that is says nothing.
func newMoves(before, after []*corev1.Pod) moves {
	m := moves{paired: map[types.UID]*corev1.Pod{}}
	in := func(list []*corev1.Pod) map[types.UID]bool {
		set := map[types.UID]bool{}
		for _, p := range list {
			if !pods.IsTerminal(p) {
				set[p.UID] = true
			}
		}
		return set
	}
	was, is := in(before), in(after)
	for _, p := range before {
		if was[p.UID] && !is[p.UID] {
			m.gone = append(m.gone, p)
		}
	}
	for _, p := range after {
		if is[p.UID] && !was[p.UID] {
			m.come = append(m.come, p)
		}
	}
	left := slices.SortedStableFunc(slices.Values(m.come), func(a, b *corev1.Pod) int { return cmp.Compare(a.Spec.NodeName, b.Spec.NodeName) })
	for _, sameName := range []bool{true, false} {
		for _, old := range m.gone {
			i := slices.IndexFunc(left, func(p *corev1.Pod) bool {
				return controllerOf(p) == controllerOf(old) && controllerOf(p) != "" && (!sameName || p.Name == old.Name)
			})
			if m.paired[old.UID] == nil && i >= 0 {
				m.paired[old.UID] = left[i]
				left = slices.Delete(left, i, i+1)
			}
		}
	}
	return m
}

func controllerOf(p *corev1.Pod) types.UID {
	if owner := metav1.GetControllerOf(p); owner != nil {
		return owner.UID
	}
	return ""
}

// otherGone are the pods that went and are not in known.
func (m moves) otherGone(known map[types.UID]bool) []*corev1.Pod {
	return slices.DeleteFunc(slices.Clone(m.gone), func(p *corev1.Pod) bool { return known[p.UID] })
}

func title(p *corev1.Pod) string { return "pod " + p.Namespace + "/" + p.Name }

// whyPending is what the scheduler says about a pod that it finds no node for.
func whyPending(p *corev1.Pod) string {
	switch c := pods.Condition(p, corev1.PodScheduled); {
	case c != nil && c.Message != "":
		return strings.TrimSpace(c.Message)
	case p.Spec.SchedulerName != corev1.DefaultSchedulerName:
		return "it waits for the scheduler " + p.Spec.SchedulerName
	}
	return "the scheduler has not decided"
}
