package scheduler

import (
	"fmt"
	"slices"
	"strings"
)

// explanation says why a pod fits no node.
type explanation struct {
	nodes    int
	reasons  map[string]int // nodes by reason
	hopeless int            // nodes where evicting pods would not help
	fault    error          // the pod itself can't be understood
	// preemption says why no pods were evicted for it; "": it was not asked for.
	preemption string
	vain       bool // no pods can be evicted that would help
}

// add notes a node's reasons.
func (e *explanation) add(reasons []string, hopeless bool) {
	if e.reasons == nil {
		e.reasons = map[string]int{}
	}
	for _, r := range reasons {
		e.reasons[r]++
	}
	if hopeless {
		e.hopeless++
	}
}

// String is as Kubernetes words it: "0/3 nodes are available: 1 Insufficient cpu, 2 Too many pods. preemption: ...".
func (e *explanation) String() string {
	switch {
	case e.fault != nil:
		return e.fault.Error()
	case e.nodes == 0:
		return "no nodes available to schedule pods"
	}
	text := fmt.Sprintf("0/%d nodes are available: %s.", e.nodes, counted(e.reasons))
	if e.preemption != "" {
		text += " preemption: " + e.preemption
	}
	return text
}

func counted(reasons map[string]int) string {
	var parts []string
	for reason, n := range reasons {
		parts = append(parts, fmt.Sprintf("%d %s", n, reason))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// noVictims is what e says of preemption when it was tried in vain.
func (e *explanation) noVictims() string {
	reasons := map[string]int{}
	if e.hopeless > 0 {
		reasons["Preemption is not helpful for scheduling"] = e.hopeless
	}
	if rest := e.nodes - e.hopeless; rest > 0 {
		reasons["No preemption victims found for incoming pod"] = rest
	}
	return fmt.Sprintf("0/%d nodes are available: %s.", e.nodes, counted(reasons))
}
