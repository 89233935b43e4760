package explain

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/admin/snapshot"
	"gantry/schema/core"
	"gantry/schema/pods"
)

func notReady(p *corev1.Pod) bool { return !pods.IsTerminal(p) && !pods.IsReady(p) }

// namespace explains a namespace: what its deletion waits for, or which of its objects are being deleted.
func (x *explainer) namespace(depth int, e *snapshot.Entry) {
	n := e.Object.(*corev1.Namespace)
	if n.DeletionTimestamp == nil {
		x.add(depth, true, e, "%s is active", x.title(e))
		x.contents(depth+1, n.Name)
		return
	}
	x.add(depth, false, e, "%s has been being deleted for %s", x.title(e), x.since(n.DeletionTimestamp.Time))
	x.agentMissing(depth+1, "controllers", "empties it")
	for _, c := range n.Status.Conditions {
		if c.Status == corev1.ConditionTrue {
			x.add(depth+1, false, e, "condition %s: %s: %s", c.Type, c.Reason, firstLine(c.Message))
		}
	}
	if x.contents(depth+1, n.Name) {
		return
	}
	for _, f := range n.Spec.Finalizers {
		x.add(depth+1, false, e, "it is empty; finalizer %s of its spec has yet to go", f)
	}
}

// contents adds what is left in a namespace by kind, those that are being deleted with what they wait for. It returns whether there is
// anything.
func (x *explainer) contents(depth int, namespace string) bool {
	counts, deleting := map[string]int{}, []*snapshot.Entry{}
	for _, k := range x.Kinds.All {
		if !k.Namespaced {
			continue
		}
		for _, o := range x.All(k, namespace) {
			counts[k.GR().String()]++
			if o.Object.GetDeletionTimestamp() != nil {
				deleting = append(deleting, o)
			}
		}
	}
	if len(counts) == 0 {
		return false
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[name], name))
	}
	x.add(depth, true, nil, "it holds %s", strings.Join(parts, ", "))
	x.some(depth, deleting, func(depth int, o *snapshot.Entry) {
		if o.Kind == core.Pod {
			x.pod(depth, o)
		} else {
			x.deletion(depth, o)
		}
	})
	return true
}
