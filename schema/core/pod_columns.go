package core

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
	"gantry/schema/pods"
)

var podColumns = []metav1.TableColumnDefinition{
	schema.NameColumn(),
	schema.TextColumn("Ready", "The aggregate readiness state of this pod for accepting traffic."),
	schema.TextColumn("Status", "The aggregate status of the containers in this pod."),
	schema.TextColumn("Restarts", "The number of times the containers in this pod have been restarted and when the last container in this pod has restarted."),
	schema.AgeColumn(),
	schema.WideColumn("IP", corev1.PodStatus{}.SwaggerDoc()["podIP"]),
	schema.WideColumn("Node", corev1.PodSpec{}.SwaggerDoc()["nodeName"]),
	schema.WideColumn("Nominated Node", corev1.PodStatus{}.SwaggerDoc()["nominatedNodeName"]),
	schema.WideColumn("Readiness Gates", corev1.PodSpec{}.SwaggerDoc()["readinessGates"]),
}

func podRow(obj schema.Object, now metav1.Time) []any {
	pod := obj.(*corev1.Pod)
	s := summarize(pod)
	ip := ""
	if len(pod.Status.PodIPs) > 0 {
		ip = pod.Status.PodIPs[0].IP
	}
	return []any{
		pod.Name,
		fmt.Sprintf("%d/%d", s.ready, s.total),
		s.status,
		s.restarts.text(now),
		schema.Age(pod.CreationTimestamp, now),
		schema.OrUnset(ip),
		schema.OrUnset(pod.Spec.NodeName),
		schema.OrUnset(pod.Status.NominatedNodeName),
		readinessGates(pod),
	}
}

func readinessGates(pod *corev1.Pod) string {
	if len(pod.Spec.ReadinessGates) == 0 {
		return schema.Unset
	}
	open := 0
	for _, gate := range pod.Spec.ReadinessGates {
		if pods.IsConditionTrue(pod, gate.ConditionType) {
			open++
		}
	}
	return fmt.Sprintf("%d/%d", open, len(pod.Spec.ReadinessGates))
}

// podRestarts counts restarts and keeps the time of the last one.
type podRestarts struct {
	count int
	last  metav1.Time
}

func (r *podRestarts) add(c *corev1.ContainerStatus) {
	r.count += int(c.RestartCount)
	if t := c.LastTerminationState.Terminated; t != nil && r.last.Before(&t.FinishedAt) {
		r.last = t.FinishedAt
	}
}

// text is "2 (5m ago)".
func (r podRestarts) text(now metav1.Time) string {
	if r.count == 0 || r.last.IsZero() {
		return strconv.Itoa(r.count)
	}
	return fmt.Sprintf("%d (%s ago)", r.count, schema.Age(r.last, now))
}
