package scheduler

import (
	"fmt"

	"gantry/schema/pods"
)

func filterTaints(state *preFilterState, n *node) ([]string, bool) {
	if t := pods.UntoleratedForScheduling(n.object.Spec.Taints, state.signature.tolerations); t != nil {
		return []string{fmt.Sprintf("node(s) had untolerated taint {%s: %s}", t.Key, t.Value)}, true
	}
	return nil, false
}
