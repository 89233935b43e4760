package scheduler

import (
	"fmt"
	"slices"
	"strings"
)

// explanation says why a pod fits no node.
type explanation struct {
	nodes        int
	reasons      map[string]int // number of nodes by reason
	unresolvable int            // number of nodes where evicting pods would not help
	fault        error          // the pod can't be parsed
	// preemption says why no pods were evicted; "": preemption was not tried or has victims.
	preemption string
	noVictims  bool // preemption found no victims
}

// add counts a node's reasons.
func (e *explanation) add(reasons []string, unresolvable bool) {
	if e.reasons == nil {
		e.reasons = map[string]int{}
	}
	for _, r := range reasons {
		e.reasons[r]++
	}
	if unresolvable {
		e.unresolvable++
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
	text := fmt.Sprintf("0/%d nodes are available: %s.", e.nodes, countedReasons(e.reasons))
	if e.preemption != "" {
		text += " preemption: " + e.preemption
	}
	return text
}

func countedReasons(reasons map[string]int) string {
	var parts []string
	for reason, n := range reasons {
		parts = append(parts, fmt.Sprintf("%d %s", n, reason))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// noVictimsText is what e says of preemption when it found no victims.
func (e *explanation) noVictimsText() string {
	reasons := map[string]int{}
	if e.unresolvable > 0 {
		reasons["Preemption is not helpful for scheduling"] = e.unresolvable
	}
	if rest := e.nodes - e.unresolvable; rest > 0 {
		reasons["No preemption victims found for incoming pod"] = rest
	}
	return fmt.Sprintf("0/%d nodes are available: %s.", e.nodes, countedReasons(reasons))
}
