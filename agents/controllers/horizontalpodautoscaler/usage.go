package horizontalpodautoscaler

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcehelpers "k8s.io/component-helpers/resource"

	"gantry/agents/controllers/horizontalpodautoscaler/metrics"
	"gantry/schema/pods"
)

// sample is what one metric was found to be: of each pod, or one number.
type sample struct {
	pods   map[string]metrics.Pod
	values []int64
	err    error
}

// groups are the pods of a target by what their metrics are worth.
type groups struct {
	ready            int
	unready, missing []string // pods whose metrics do not count yet, and those without
	usable           map[string]int64
}

// groupPods leaves out pods that are being deleted or have failed, and tells apart those that are not ready. Of CPU, what a pod uses while it
// starts does not count.
func groupPods(list []*corev1.Pod, found map[string]metrics.Pod, resource corev1.ResourceName, now time.Time) groups {
	g := groups{usable: map[string]int64{}}
	for name, m := range found {
		g.usable[name] = m.Value
	}
	for _, p := range list {
		m, there := found[p.Name]
		switch {
		case p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodFailed:
			delete(g.usable, p.Name)
		case p.Status.Phase == corev1.PodPending, there && resource == corev1.ResourceCPU && starting(p, m, now):
			delete(g.usable, p.Name)
			g.unready = append(g.unready, p.Name)
		case !there:
			g.missing = append(g.missing, p.Name)
		default:
			g.ready++
		}
	}
	return g
}

// starting returns whether a pod is not ready yet, or was not for the whole time that was measured.
func starting(p *corev1.Pod, m metrics.Pod, now time.Time) bool {
	c := pods.Condition(p, corev1.PodReady)
	if c == nil || p.Status.StartTime == nil {
		return true
	}
	if p.Status.StartTime.Add(cpuInitialization).After(now) {
		return c.Status == corev1.ConditionFalse || m.At.Before(c.LastTransitionTime.Add(m.Window))
	}
	return c.Status == corev1.ConditionFalse && p.Status.StartTime.Add(initialReadiness).After(c.LastTransitionTime.Time)
}

// perPod is what a metric of pods asks for.
type perPod struct {
	// requests are what the target is a percentage of, by pod; nil: the target is an average amount.
	requests map[string]int64
	target   int64 // percent, or thousandths
}

// measured is how much pods use.
type measured struct {
	ratio       float64 // to the target
	utilization int32   // percent of the requests
	average     int64   // thousandths
}

func (m perPod) measure(usage map[string]int64) (measured, error) {
	if m.target <= 0 {
		return measured{}, fmt.Errorf("invalid target %d", m.target)
	}
	var total, requested, n int64
	for name, used := range usage {
		if m.requests != nil {
			request, known := m.requests[name]
			if !known {
				continue
			}
			requested = metrics.Add(requested, request)
		}
		total, n = metrics.Add(total, used), n+1
	}
	if n == 0 || m.requests != nil && requested <= 0 {
		return measured{}, errors.New("no metrics returned matched known pods")
	}
	out := measured{average: total / n}
	if m.requests == nil {
		out.ratio = float64(out.average) / float64(m.target)
		return out, nil
	}
	if total < math.MaxInt64/100 && total > math.MinInt64/100 {
		out.utilization = clamp(float64(total * 100 / requested))
	} else {
		out.utilization = clamp(float64(total) / float64(requested) * 100)
	}
	out.ratio = float64(out.utilization) / float64(m.target)
	return out, nil
}

// assumed is the usage of a pod without a metric: where the others are below the target all it may use, where they are above nothing.
func (m perPod) assumed(name string, below bool) int64 {
	switch {
	case !below:
		return 0
	case m.requests == nil:
		return m.target
	}
	return clampInt64(float64(m.requests[name]) * float64(max(100, m.target)) / 100)
}

// replicas is how many pods there should be by a metric of each pod, and how much they use now. Pods without metrics and those that are not
// ready only ever make the change smaller.
func (m perPod) replicas(g groups, current int32, t tolerances) (int32, measured, error) {
	if len(g.usable) == 0 {
		return 0, measured{}, errors.New("did not receive metrics for targeted pods (pods might be unready)")
	}
	now, err := m.measure(g.usable)
	if err != nil {
		return 0, measured{}, err
	}
	upWithUnready := len(g.unready) > 0 && now.ratio > 1
	if !upWithUnready && len(g.missing) == 0 {
		if t.within(now.ratio) {
			return current, now, nil
		}
		return clamp(math.Ceil(now.ratio * float64(g.ready))), now, nil
	}
	usage := maps.Clone(g.usable)
	if now.ratio != 1 {
		for _, name := range g.missing {
			usage[name] = m.assumed(name, now.ratio < 1)
		}
	}
	if upWithUnready {
		for _, name := range g.unready {
			usage[name] = 0
		}
	}
	then, err := m.measure(usage)
	if err != nil {
		return 0, now, err
	}
	wanted := clamp(math.Ceil(then.ratio * float64(len(usage))))
	turns := now.ratio < 1 && then.ratio > 1 || now.ratio > 1 && then.ratio < 1
	against := then.ratio < 1 && wanted > current || then.ratio > 1 && wanted < current
	if t.within(then.ratio) || turns || against {
		return current, now, nil
	}
	return wanted, now, nil
}

// requestsOf are the requests of a resource by pod, in thousandths; of one container of each where container is not "".
func requestsOf(list []*corev1.Pod, resource corev1.ResourceName, container string) (map[string]int64, error) {
	out := make(map[string]int64, len(list))
	for _, p := range list {
		var err error
		if container == "" && resourcehelpers.IsPodLevelRequestsSet(p) {
			q, there := resourcehelpers.PodRequests(p, resourcehelpers.PodResourcesOptions{})[resource]
			if !there {
				return nil, fmt.Errorf("missing pod-level request for %s in Pod %s", resource, p.Name)
			}
			out[p.Name] = q.MilliValue()
		} else if out[p.Name], err = containerRequests(p, resource, container); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func containerRequests(p *corev1.Pod, resource corev1.ResourceName, container string) (sum int64, err error) {
	all := p.Spec.Containers[:len(p.Spec.Containers):len(p.Spec.Containers)]
	for _, c := range p.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			all = append(all, c)
		}
	}
	found := container == ""
	for _, c := range all {
		if container != "" && c.Name != container {
			continue
		}
		q, there := c.Resources.Requests[resource]
		if !there {
			return 0, fmt.Errorf("missing request for %s in container %s of Pod %s", resource, c.Name, p.Name)
		}
		sum, found = metrics.Add(sum, q.MilliValue()), true
	}
	if !found {
		return 0, fmt.Errorf("container %s not found in Pod %s", container, p.Name)
	}
	return sum, nil
}

// clamp is a number of replicas or percents that an int32 has room for, 0 at least.
func clamp(n float64) int32 {
	if !(n > 0) { // also what is no number
		return 0
	}
	return int32(min(n, math.MaxInt32))
}

func clampInt64(n float64) int64 {
	if !(n > 0) {
		return 0
	}
	if n >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(n)
}
