package scheduler

import (
	"math"

	corev1 "k8s.io/api/core/v1"
)

// The weights of the scores, each of which is 0 to 100.
const (
	weightLeast    = 1 // NodeResourcesFit, least allocated
	weightBalanced = 1
	weightImages   = 1
	weightTaints   = 3
	weightNode     = 2 // preferred node affinity
	weightSpread   = 2
	weightPods     = 2 // preferred pod affinity
)

// full is the best score.
const full = 100

// verdict is what the filters and scores that look at one node alone say of it for a class.
type verdict struct {
	of         *node // a slot may have had another node before
	generation int64
	reasons    []string // nil: the node fits
	hopeless   bool
	score      int64 // weighted: least allocated, balanced, images
	taints     int64 // untolerated PreferNoSchedule taints
	node       int64 // weights of the preferred node affinity terms that match
}

// verdict is the one of a node, found again only when the node has changed.
func (y *cycle) verdict(n *node) *verdict {
	for n.slot >= len(y.c.verdicts) {
		y.c.verdicts = append(y.c.verdicts, make([]verdict, n.slot+1)...)
	}
	v := &y.c.verdicts[n.slot]
	if v.of != n || v.generation != n.generation {
		*v = y.judge(n)
	}
	return v
}

func (y *cycle) judge(n *node) verdict {
	v := verdict{of: n, generation: n.generation}
	for i := range filters {
		if filters[i].beyond {
			continue
		}
		if v.reasons, v.hopeless = filters[i].explain(y, n); v.reasons != nil {
			return v
		}
	}
	cpu, memory := n.weightCPU+y.c.weightCPU, n.weightMem+y.c.weightMem
	v.score = weightLeast*least(cpu, memory, &n.allocatable) +
		weightBalanced*balanced(n.requested.cpu+y.c.requests.cpu, n.requested.memory+y.c.requests.memory, &n.allocatable) +
		weightImages*y.imageScore(n)
	for i := range n.object.Spec.Taints {
		if t := &n.object.Spec.Taints[i]; t.Effect == corev1.TaintEffectPreferNoSchedule && !tolerates(y.c.tolerations, t) {
			v.taints++
		}
	}
	if y.c.preferred != nil {
		v.node = y.c.preferred.Score(n.object)
	}
	return v
}

// least is the share of cpu and memory that would stay free.
func least(cpu, memory int64, have *resources) int64 {
	free := func(want, have int64) int64 {
		if have <= 0 || want >= have {
			return 0
		}
		return int64(float64(have-want) * full / float64(have))
	}
	return (free(cpu, have.cpu) + free(memory, have.memory)) / 2
}

// balanced is high when cpu and memory would be used to the same degree.
func balanced(cpu, memory int64, have *resources) int64 {
	share := func(want, have int64) float64 {
		if have <= 0 {
			return 1
		}
		return min(1, float64(want)/float64(have))
	}
	return int64((1 - math.Abs(share(cpu, have.cpu)-share(memory, have.memory))/2) * full)
}

// The bytes of a container's image below which it does not count, and above which it counts no more.
const (
	smallImage = 23 << 20
	largeImage = 1000 << 20
)

// imageScore is high when the node has much of what the pod would pull, weighed by how many nodes have it: one node that has
// an image must not draw every pod to itself.
func (y *cycle) imageScore(n *node) int64 {
	var sum int64
	for _, image := range y.c.images {
		size, ok := n.images[image]
		if !ok {
			size, ok = n.images[image+":latest"]
		}
		if ok {
			sum += int64(float64(size) * float64(max(1, y.w.images[image])) / float64(max(1, len(y.w.order))))
		}
	}
	high := int64(largeImage * max(1, len(y.c.images)))
	return full * (max(smallImage, min(sum, high)) - smallImage) / (high - smallImage)
}

// spreadScore is how crowded n's domains are with pods to be spread from; ok is false where a label is missing.
func (y *cycle) spreadScore(n *node) (score float64, ok bool) {
	for i := range y.c.spread {
		t := &y.c.spread[i]
		if t.hard {
			continue
		}
		d := &y.spread[i]
		at := d.at[n.slot]
		switch {
		case at >= 0:
			score += float64(d.counts[at])*d.weight + float64(t.maxSkew-1)
		case !t.implied:
			return 0, false
		}
	}
	return score, true
}

// podScore is how much the pods near n are liked.
func (y *cycle) podScore(n *node) (score int64) {
	if len(y.liking) == 0 {
		return 0
	}
	for key, weights := range y.liking {
		if value, ok := n.label(key); ok {
			score += weights[value]
		}
	}
	return score
}
