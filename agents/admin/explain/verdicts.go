package explain

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/admin/snapshot"
	"gantry/agents/scheduler/framework"
	"gantry/schema/core"
)

// maxNames is how many nodes of one verdict are named.
const maxNames = 8

// verdict is what nodes have in common that reject a pod for the same reasons.
type verdict struct {
	text  string
	help  []string
	nodes []string
}

// verdicts adds what every node says to a pod without one.
func (x *explainer) verdicts(depth int, e *snapshot.Entry) {
	p := e.Object.(*corev1.Pod)
	all, sig, err := x.placement().Evaluate(p)
	switch {
	case err != nil:
		x.add(depth, false, e, "it fits no node, as its spec cannot be parsed: %v", err)
		return
	case len(all) == 0:
		x.add(depth, false, nil, "there are no nodes: a kubelet adds its own")
		return
	}
	fits := fitting(all)
	if len(fits) > 0 {
		x.add(depth, false, x.Get(core.Node, "", fits[0].Node.Name), "%d of %d nodes fit now, the best is %s (score %d): the scheduler has yet to bind it there",
			len(fits), len(all), fits[0].Node.Name, fits[0].Score)
		return
	}
	x.add(depth, false, nil, "0 of %d nodes fit, by the scheduler's filters now:", len(all))
	for _, v := range x.grouped(all, sig) {
		var first *snapshot.Entry
		if len(v.nodes) == 1 {
			first = x.Get(core.Node, "", v.nodes[0])
		}
		x.add(depth+1, false, first, "%s: %s", nodeNames(v.nodes), v.text)
		for _, help := range v.help {
			x.add(depth+2, false, nil, "would help: %s", help)
		}
	}
}

func nodeNames(names []string) string {
	if len(names) == 1 {
		return "node " + names[0]
	}
	if len(names) > maxNames {
		return fmt.Sprintf("%d nodes (%s, ...)", len(names), strings.Join(names[:maxNames], ", "))
	}
	return "nodes " + strings.Join(names, ", ")
}

// grouped are the verdicts of all nodes, equal ones once.
func (x *explainer) grouped(all []framework.Evaluation, sig *framework.PodSignature) (verdicts []*verdict) {
	byText := map[string]*verdict{}
	for i := range all {
		v := x.verdictOf(&all[i], sig)
		id := v.text + "\x00" + strings.ReplaceAll(strings.Join(v.help, "\x00"), all[i].Node.Name, "NODE")
		if known := byText[id]; known != nil {
			known.nodes = append(known.nodes, v.nodes...)
			continue
		}
		byText[id] = v
		verdicts = append(verdicts, v)
	}
	return verdicts
}

func (x *explainer) verdictOf(e *framework.Evaluation, sig *framework.PodSignature) *verdict {
	v := &verdict{nodes: []string{e.Node.Name}}
	var reasons []string
	resolvable := true
	for _, r := range e.Rejections {
		reasons = append(reasons, strings.Join(r.Reasons, ", ")+" ("+r.Plugin+")")
		resolvable = resolvable && !r.Unresolvable
		if help := x.placement().Help(sig, e.Node, r); help != "" {
			v.help = append(v.help, help)
		}
	}
	v.text = strings.Join(reasons, "; ")
	if victims := x.placement().State.FitsWithoutLowerPriority(sig, e.Node); resolvable && victims != nil {
		v.help = append(v.help, fmt.Sprintf("preemption: %d pods of lower priority run there", len(victims)))
	}
	return v
}

// fitting are the nodes that fit, the best first.
func fitting(all []framework.Evaluation) (fits []framework.Evaluation) {
	for _, e := range all {
		if len(e.Rejections) == 0 {
			fits = append(fits, e)
		}
	}
	slices.SortStableFunc(fits, func(a, b framework.Evaluation) int { return int(b.Score - a.Score) })
	return fits
}

// chosen adds why a pod is on its node, by the filters and scores of now.
func (x *explainer) chosen(depth int, e *snapshot.Entry) {
	p := e.Object.(*corev1.Pod)
	all, _, err := x.placement().Evaluate(p)
	if err != nil {
		return
	}
	fits := fitting(all)
	x.add(depth, true, nil, "computed anew on the state of now, as the scheduler keeps no record: %d of %d nodes fit without it", len(fits), len(all))
	for rank, f := range fits {
		if f.Node.Name == p.Spec.NodeName {
			x.add(depth+1, true, x.Get(core.Node, "", f.Node.Name), "node %s: score %d, %s of %d (%s)", f.Node.Name, f.Score, ordinal(rank+1), len(fits), scoresText(f.Scores))
		}
	}
	for _, f := range all {
		if f.Node.Name == p.Spec.NodeName && len(f.Rejections) > 0 {
			x.add(depth+1, true, x.Get(core.Node, "", f.Node.Name), "node %s would not be chosen now: %s", f.Node.Name, strings.Join(f.Rejections[0].Reasons, ", "))
		}
	}
	for _, f := range fits[:min(len(fits), maxChildren)] {
		if f.Node.Name != p.Spec.NodeName {
			x.add(depth+1, true, x.Get(core.Node, "", f.Node.Name), "node %s: score %d (%s)", f.Node.Name, f.Score, scoresText(f.Scores))
		}
	}
}

func ordinal(n int) string {
	switch {
	case n == 1:
		return "the best"
	case n == 2:
		return "the 2nd"
	case n == 3:
		return "the 3rd"
	}
	return fmt.Sprintf("the %dth", n)
}

func scoresText(scores []framework.PluginScore) string {
	var parts []string
	for _, s := range scores {
		if s.Score != 0 {
			parts = append(parts, fmt.Sprintf("%s %d", s.Plugin, s.Score))
		}
	}
	return strings.Join(parts, ", ")
}
