package horizontalpodautoscaler

import (
	"math"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
)

// limits are what a recommendation is brought within.
type limits struct {
	min, max, current int32
	now               time.Time
}

// verdict is a condition's reason and message.
type verdict struct{ reason, message string }

var (
	readyForNewScale    = verdict{"ReadyForNewScale", "recommended size matches current size"}
	scaleUpStabilized   = verdict{"ScaleUpStabilized", "recent recommendations were lower than current one, applying the lowest recent recommendation"}
	scaleDownStabilized = verdict{"ScaleDownStabilized", "recent recommendations were higher than current one, applying the highest recent recommendation"}

	withinRange     = verdict{"DesiredWithinRange", "the desired count is within the acceptable range"}
	tooFewReplicas  = verdict{"TooFewReplicas", "the desired replica count is less than the minimum replica count"}
	tooManyReplicas = verdict{"TooManyReplicas", "the desired replica count is more than the maximum replica count"}
	scaleUpLimited  = verdict{"ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate"}
	scaleDownLimit  = verdict{"ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate"}
)

// normalized is a recommendation brought within limits: by the recommendations before it, then by the bounds.
type normalized struct {
	replicas          int32
	ability, limiting verdict
	limited           bool
}

// normalize is the rule of autoscalers that have no behavior.
func normalize(wanted int32, l limits, h *history) normalized {
	stable := wanted
	for _, r := range h.recommendations {
		if !r.at.Before(l.now.Add(-scaleDownWindow)) {
			stable = max(stable, r.replicas)
		}
	}
	h.recommend(wanted, l.now, scaleDownWindow)
	out := normalized{ability: readyForNewScale}
	if stable != wanted {
		out.ability = scaleDownStabilized
	}
	most, limiting := l.max, tooManyReplicas
	if fast := clamp(math.Max(2*float64(l.current), 4)); fast < most {
		most, limiting = fast, scaleUpLimited
	}
	switch out.replicas, out.limiting = stable, withinRange; {
	case stable < l.min:
		out.replicas, out.limiting = l.min, tooFewReplicas
	case stable > most:
		out.replicas, out.limiting = most, limiting
	}
	out.limited = out.replicas != stable
	return out
}

// normalizeByBehavior is the rule of autoscalers that have one. Its fields have their defaults.
func normalizeByBehavior(wanted int32, l limits, b *autoscalingv2.HorizontalPodAutoscalerBehavior, h *history) normalized {
	stable := stabilize(wanted, l, b, h)
	out := normalized{ability: readyForNewScale}
	switch {
	case stable == wanted:
	case wanted >= l.current:
		out.ability = scaleUpStabilized
	default:
		out.ability = scaleDownStabilized
	}
	out.replicas, out.limiting = stable, withinRange
	switch {
	case stable > l.current:
		most, limiting := l.max, tooManyReplicas
		if limit := max(rateLimit(b.ScaleUp, l, h, true), l.current); limit < most {
			most, limiting = limit, scaleUpLimited
		}
		if stable > most {
			out.replicas, out.limiting = most, limiting
		}
	case stable < l.current:
		least, limiting := l.min, tooFewReplicas
		if limit := min(rateLimit(b.ScaleDown, l, h, false), l.current); limit > least {
			least, limiting = limit, scaleDownLimit
		}
		if stable < least {
			out.replicas, out.limiting = least, limiting
		}
	}
	out.limited = out.replicas != stable
	return out
}

// stabilize is the change that all recommendations within the stabilization windows agree on.
func stabilize(wanted int32, l limits, b *autoscalingv2.HorizontalPodAutoscalerBehavior, h *history) int32 {
	up, down := window(b.ScaleUp, 0), window(b.ScaleDown, scaleDownWindow)
	least, most := wanted, wanted
	for _, r := range h.recommendations {
		if r.at.After(l.now.Add(-up)) {
			least = min(least, r.replicas)
		}
		if r.at.After(l.now.Add(-down)) {
			most = max(most, r.replicas)
		}
	}
	h.recommend(wanted, l.now, max(up, down))
	return min(max(l.current, least), most)
}

func window(r *autoscalingv2.HPAScalingRules, otherwise time.Duration) time.Duration {
	if r.StabilizationWindowSeconds == nil {
		return otherwise
	}
	return seconds(*r.StabilizationWindowSeconds)
}

// rateLimit is how far the policies let the replicas change now, up or down.
func rateLimit(r *autoscalingv2.HPAScalingRules, l limits, h *history, up bool) int32 {
	if *r.SelectPolicy == autoscalingv2.DisabledPolicySelect || len(r.Policies) == 0 {
		return l.current
	}
	var limit float64
	for i, p := range r.Policies {
		period := seconds(p.PeriodSeconds)
		start := float64(int64(l.current) - changed(h.ups, period, l.now) + changed(h.downs, period, l.now))
		one := start
		switch {
		case p.Type == autoscalingv2.PodsScalingPolicy && up:
			one = start + float64(p.Value)
		case p.Type == autoscalingv2.PodsScalingPolicy:
			one = start - float64(p.Value)
		case p.Type == autoscalingv2.PercentScalingPolicy && up:
			one = math.Ceil(start * (1 + float64(p.Value)/100)) // else a small target would never grow
		case p.Type == autoscalingv2.PercentScalingPolicy:
			one = math.Trunc(start * (1 - float64(p.Value)/100))
		}
		// The largest change upwards is the largest number, downwards the smallest.
		highest := up == (*r.SelectPolicy != autoscalingv2.MinChangePolicySelect)
		switch {
		case i == 0:
			limit = one
		case highest:
			limit = max(limit, one)
		default:
			limit = min(limit, one)
		}
	}
	return clamp(limit)
}
