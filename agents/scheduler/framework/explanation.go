package framework

import (
	"fmt"
	"slices"
	"strings"
)

// Explanation says why a pod fits no node.
type Explanation struct {
	Nodes        int
	reasons      map[string]int // number of nodes by reason
	rejectedBy   []bool         // by row of the plug-ins; rows after the last that rejected are left out
	unresolvable int            // number of nodes where evicting pods would not help
	Fault        error          // the pod can't be parsed
	// Preemption says why no pods were evicted; "": preemption was not tried or has victims.
	Preemption string
	NoVictims  bool // preemption found no victims
}

// add counts a node that does not fit.
func (e *Explanation) add(r *Rejection) {
	if e.reasons == nil {
		e.reasons = map[string]int{}
	}
	for _, reason := range r.Reasons {
		e.reasons[reason]++
	}
	for r.row >= len(e.rejectedBy) {
		e.rejectedBy = append(e.rejectedBy, false)
	}
	e.rejectedBy[r.row] = true
	if r.Unresolvable {
		e.unresolvable++
	}
}

// String is as Kubernetes words it: "0/3 nodes are available: 1 Insufficient cpu, 2 Too many pods. preemption: ...".
func (e *Explanation) String() string {
	switch {
	case e.Fault != nil:
		return e.Fault.Error()
	case e.Nodes == 0:
		return "no nodes available to schedule pods"
	}
	text := fmt.Sprintf("0/%d nodes are available: %s.", e.Nodes, countedReasons(e.reasons))
	if e.Preemption != "" {
		text += " preemption: " + e.Preemption
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

// NoVictimsText is what e says of preemption when it found no victims.
func (e *Explanation) NoVictimsText() string {
	reasons := map[string]int{}
	if e.unresolvable > 0 {
		reasons["Preemption is not helpful for scheduling"] = e.unresolvable
	}
	if rest := e.Nodes - e.unresolvable; rest > 0 {
		reasons["No preemption victims found for incoming pod"] = rest
	}
	return fmt.Sprintf("0/%d nodes are available: %s.", e.Nodes, countedReasons(reasons))
}
