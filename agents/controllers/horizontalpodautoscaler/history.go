package horizontalpodautoscaler

import (
	"slices"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
)

// history is what an autoscaler recommended, before stabilization, and by how much its target was scaled.
type history struct {
	recommendations []moment
	ups, downs      []moment
}

// moment is a number of replicas at a time.
type moment struct {
	replicas int32
	at       time.Time
}

// recommend adds a recommendation and drops those older than window.
func (h *history) recommend(replicas int32, now time.Time, window time.Duration) {
	h.recommendations = append(since(h.recommendations, now.Add(-window)), moment{replicas, now})
}

// scaled notes a change of replicas. Without a behavior nothing asks for it.
func (h *history) scaled(b *autoscalingv2.HorizontalPodAutoscalerBehavior, from, to int32, now time.Time) {
	if b == nil || from == to {
		return
	}
	if to > from {
		h.ups = append(since(h.ups, now.Add(-longestPeriod(b.ScaleUp))), moment{to - from, now})
	} else {
		h.downs = append(since(h.downs, now.Add(-longestPeriod(b.ScaleDown))), moment{from - to, now})
	}
}

// since are the moments that are not before a time.
func since(all []moment, cutoff time.Time) []moment {
	return slices.DeleteFunc(all, func(m moment) bool { return m.at.Before(cutoff) })
}

func longestPeriod(r *autoscalingv2.HPAScalingRules) (longest time.Duration) {
	if r != nil {
		for _, p := range r.Policies {
			longest = max(longest, seconds(p.PeriodSeconds))
		}
	}
	return longest
}

// changed is by how many replicas the target was scaled in the last period.
func changed(all []moment, period time.Duration, now time.Time) (n int64) {
	for _, m := range all {
		if m.at.After(now.Add(-period)) {
			n += int64(m.replicas)
		}
	}
	return n
}

func seconds(n int32) time.Duration { return time.Duration(n) * time.Second }
