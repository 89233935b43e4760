package horizontalpodautoscaler

import (
	"fmt"
	"strings"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"gantry/agents/controllers/controller"
	"gantry/schema/autoscaling"
)

// observation is what a reconciliation has read.
type observation struct {
	autoscaler *autoscalingv2.HorizontalPodAutoscaler // with defaults; the decision changes its status
	target     target
	pods       []*corev1.Pod
	// several are the autoscalers that select the target's pods, where there are more than this one.
	several []string
	samples []sample // of each metric
}

// decision is what is to be done with a target.
type decision struct {
	autoscaler *autoscalingv2.HorizontalPodAutoscaler // with its new status, before the target is scaled
	events     []*controller.Event
	replicas   int32
	rescale    bool
	reason     string // of the rescale
}

// decide decides by what was read. It adds to h what it recommends.
func decide(o observation, h *history, now time.Time) *decision {
	d := &decision{autoscaler: o.autoscaler}
	a := o.autoscaler
	if o.target.err != nil {
		d.warn("FailedGetScale", o.target.err.Error())
		d.condition(now, autoscalingv2.AbleToScale, false, verdict{"FailedGetScale", fmt.Sprintf("the HPA controller was unable to get the target's current scale: %v", o.target.err)})
		return d
	}
	current := o.target.replicas
	d.condition(now, autoscalingv2.AbleToScale, true, verdict{"SucceededGetScale", "the HPA controller was able to get the target's current scale"})
	if len(h.recommendations) == 0 {
		h.recommend(current, now, scaleDownWindow)
	}
	l := limitsOf(a, current, now)
	d.replicas = current
	var statuses []autoscalingv2.MetricStatus
	switch {
	case current == 0:
		d.condition(now, autoscalingv2.ScalingActive, false, verdict{"ScalingDisabled", "scaling is disabled since the replica count of the target is zero"})
	case current > l.max:
		d.replicas, d.reason = l.max, "Current number of replicas above Spec.MaxReplicas"
	case current < l.min:
		d.replicas, d.reason = l.min, "Current number of replicas below Spec.MinReplicas"
	default:
		wanted, ok := int32(0), false
		if wanted, statuses, ok = d.byMetrics(o, now); !ok {
			d.setStatus(current, a.Status.DesiredReplicas, statuses)
			return d
		}
		d.normalize(wanted, l, h)
	}
	d.rescale = d.replicas != current
	d.setStatus(current, d.replicas, statuses)
	return d
}

// needsMetrics returns whether the decision about a target depends on metrics.
func needsMetrics(a *autoscalingv2.HorizontalPodAutoscaler, t target) bool {
	l := limitsOf(a, t.replicas, time.Time{})
	return t.err == nil && t.selector != nil && t.replicas > 0 && t.replicas <= l.max && t.replicas >= l.min
}

// limitsOf are an autoscaler's bounds; what contradicts, which only etcd's admin can write, is not above the maximum.
func limitsOf(a *autoscalingv2.HorizontalPodAutoscaler, current int32, now time.Time) limits {
	l := limits{min: 1, max: max(a.Spec.MaxReplicas, 0), current: current, now: now}
	if a.Spec.MinReplicas != nil {
		l.min = max(*a.Spec.MinReplicas, 0)
	}
	l.min = min(l.min, l.max)
	return l
}

// byMetrics is the largest of what the metrics ask for. Not ok: none can be calculated, or not all and the rest would scale down.
func (d *decision) byMetrics(o observation, now time.Time) (wanted int32, statuses []autoscalingv2.MetricStatus, ok bool) {
	if !d.checkSelector(o, now) {
		return 0, nil, false
	}
	in := input{pods: o.pods, spec: o.target.replicas, status: o.target.current, tolerances: tolerancesOf(o.autoscaler), now: now}
	specs := o.autoscaler.Spec.Metrics
	statuses = make([]autoscalingv2.MetricStatus, len(specs))
	var first *proposal
	invalid, metric := 0, ""
	for i := range specs {
		p := in.evaluate(&specs[i], o.samples[i])
		if p.err != nil {
			d.warn(p.reason, p.cause.Error())
			if invalid++; first == nil {
				first = &p
			}
			continue
		}
		statuses[i] = p.status
		if wanted == 0 || p.replicas > wanted {
			wanted, metric = p.replicas, p.metric
		}
	}
	if invalid == len(specs) || invalid > 0 && wanted < o.target.replicas {
		message := "no metric is given"
		if first != nil {
			d.condition(now, autoscalingv2.ScalingActive, false, verdict{first.reason, fmt.Sprintf("the HPA was unable to compute the replica count: %v", first.cause)})
			message = fmt.Sprintf("invalid metrics (%d invalid out of %d), first error is: %v", invalid, len(specs), first.err)
		}
		d.warn("FailedComputeMetricsReplicas", message)
		return 0, statuses, false
	}
	d.condition(now, autoscalingv2.ScalingActive, true, verdict{"ValidMetricFound", "the HPA was able to successfully calculate a replica count from " + metric})
	switch {
	case wanted > o.target.replicas:
		d.reason = metric + " above target"
	case wanted < o.target.replicas:
		d.reason = "All metrics below target"
	}
	return wanted, statuses, true
}

// checkSelector returns whether the target selects pods that no other autoscaler scales.
func (d *decision) checkSelector(o observation, now time.Time) bool {
	event, message, condition := "", "", ""
	switch {
	case o.target.selectorText == "":
		event, message, condition = "SelectorRequired", "selector is required", "the HPA target's scale is missing a selector"
	case o.target.selector == nil:
		_, err := labels.Parse(o.target.selectorText)
		event, message = "InvalidSelector", fmt.Sprintf("couldn't convert selector into a corresponding internal selector object: %v", err)
	case len(o.several) > 0:
		event, message = "AmbiguousSelector", fmt.Sprintf("pods by selector %s are controlled by multiple HPAs: [%s]", o.target.selectorText, strings.Join(o.several, " "))
	default:
		return true
	}
	reason := event
	if event == "SelectorRequired" {
		reason = "InvalidSelector"
	}
	if condition == "" {
		condition = message
	}
	d.warn(event, message)
	d.condition(now, autoscalingv2.ScalingActive, false, verdict{reason, condition})
	d.warn("FailedComputeMetricsReplicas", message)
	return false
}

// normalize brings what the metrics ask for within the autoscaler's limits.
func (d *decision) normalize(wanted int32, l limits, h *history) {
	n := normalized{}
	if b := d.autoscaler.Spec.Behavior; b == nil {
		n = normalize(wanted, l, h)
	} else {
		n = normalizeByBehavior(wanted, l, b, h)
	}
	d.condition(l.now, autoscalingv2.AbleToScale, true, n.ability)
	d.condition(l.now, autoscalingv2.ScalingLimited, n.limited, n.limiting)
	d.replicas = n.replicas
}

// scaled is the decision's status after the target was scaled, or not because of err.
func (d *decision) scaled(err error, now time.Time) (ev *controller.Event) {
	s := &d.autoscaler.Status
	if err != nil {
		d.condition(now, autoscalingv2.AbleToScale, false, verdict{"FailedUpdateScale", fmt.Sprintf("the HPA controller was unable to update the target scale: %v", err)})
		s.DesiredReplicas = d.before()
		return d.event(true, "FailedRescale", fmt.Sprintf("New size: %d; reason: %s; error: %v", d.replicas, d.reason, err))
	}
	d.condition(now, autoscalingv2.AbleToScale, true, verdict{"SucceededRescale", fmt.Sprintf("the HPA controller was able to update the target scale to %d", d.replicas)})
	at := metaTime(now)
	s.LastScaleTime = &at
	return d.event(false, "SuccessfulRescale", fmt.Sprintf("New size: %d; reason: %s", d.replicas, d.reason))
}

// before is the number of replicas that the target has, which a failure leaves.
func (d *decision) before() int32 { return d.autoscaler.Status.CurrentReplicas }

func (d *decision) warn(reason, message string) {
	d.events = append(d.events, d.event(true, reason, message))
}

func (d *decision) event(warning bool, reason, message string) *controller.Event {
	return &controller.Event{Kind: autoscaling.HorizontalPodAutoscaler, About: d.autoscaler, Warning: warning, Reason: reason, Message: message}
}
