package scheduler

import (
	"context"
	"errors"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/internal/events"
	"gantry/registry"
	"gantry/schema/core"
)

// report is what a pod's condition PodScheduled and its event say about why it has no node.
type report struct {
	pod          *corev1.Pod
	reason, text string
	nominated    string // the node to nominate; "": unchanged
	unnominated  bool   // the nomination is to be removed
	event        bool
	by           *pod // whose object pod is
}

// eventInterval is the least time between two events FailedScheduling of a pod.
const eventInterval = time.Minute

// reportFailure queues the eviction and the report of a pod that fits no node. A report that repeats the last one is left out.
func (l *leader) reportFailure(d decision, now time.Time) {
	p := d.pod
	if d.evict.node != "" && !l.evictionQueue.offer(d.evict) {
		l.state.evictionFailed(d.evict, d.evict.victims, now)
		return
	}
	r := report{pod: p.object, by: p, reason: corev1.PodReasonUnschedulable, text: d.why.String(), nominated: d.evict.node}
	r.unnominated = p.Nominated == nil && p.object.Status.NominatedNodeName != ""
	if d.why.Fault != nil {
		r.reason = corev1.PodReasonSchedulerError
	}
	if r.text == p.reportedText && r.nominated == "" && !r.unnominated {
		return
	}
	r.event = now.Sub(p.reportedAt) >= eventInterval || r.nominated != ""
	if r.event {
		p.reportedAt = now
		l.log.Info("pod not placed", "ns", p.object.Namespace, "name", p.object.Name, "uid", p.object.UID, "reason", r.text, "attempt", p.attempts)
	}
	p.reportedText = r.text
	if !l.reportQueue.offer(r) {
		l.state.conditionNotWritten(p, now)
	}
}

// recorderOf returns the recorder whose events have the name of a pod's scheduler as their source.
func (l *leader) recorderOf(pod *corev1.Pod) *events.Recorder {
	return l.recorder.WithComponent(pod.Spec.SchedulerName)
}

// writeReport writes the condition and the event.
func (l *leader) writeReport(ctx context.Context, r report) {
	if r.event {
		l.recorderOf(r.pod).Event(core.Pod, r.pod, corev1.EventTypeWarning, "FailedScheduling", "%s", r.text)
	}
	_, err := l.pods.ModifyStatus(ctx, r.pod.Namespace, r.pod.Name, func(p *corev1.Pod) error {
		if p.UID != r.pod.UID || p.Spec.NodeName != "" {
			return errNotPending
		}
		if r.nominated != "" || r.unnominated {
			p.Status.NominatedNodeName = r.nominated
		}
		setCondition(p, r, metav1.Now())
		return nil
	})
	switch {
	case err == nil, ctx.Err() != nil, errors.Is(err, errNotPending), errors.Is(err, registry.NotFound):
	default:
		l.log.Warn("condition not written", "ns", r.pod.Namespace, "name", r.pod.Name, "uid", r.pod.UID, "err", err)
		l.changes.put(ctx, func(now time.Time) { l.state.conditionNotWritten(r.by, now) })
	}
}

var errNotPending = errors.New("the pod is not pending any more")

func setCondition(p *corev1.Pod, r report, now metav1.Time) {
	c := corev1.PodCondition{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: r.reason, Message: r.text,
		LastTransitionTime: now, ObservedGeneration: p.Generation,
	}
	i := slices.IndexFunc(p.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodScheduled })
	if i < 0 {
		p.Status.Conditions = append(p.Status.Conditions, c)
		return
	}
	if have := p.Status.Conditions[i]; have.Status == c.Status {
		c.LastTransitionTime, c.LastProbeTime = have.LastTransitionTime, have.LastProbeTime
	}
	p.Status.Conditions[i] = c
}
