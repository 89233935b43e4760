package kubelet

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	resourcehelper "k8s.io/component-helpers/resource"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// admit decides once whether the node takes the pod; a pod with containers was taken before. A refused pod ends as Failed.
func (w *worker) admit() {
	if w.admitted || w.failure != nil {
		return
	}
	if isTerminal(w.pod) {
		w.admitted = true
		w.k.leave(w.ref.uid)
		return
	}
	fault := invalidPod(w.pod)
	if fault == nil {
		fault = w.k.enter(w.pod, len(w.found) > 0)
	}
	if fault == nil {
		w.admitted = true
		return
	}
	w.failure = fault
	w.log.Warn("pod rejected", "reason", fault.reason, "err", fault.message)
	w.k.podEvent(w.pod, corev1.EventTypeWarning, fault.reason, "%s", fault.message)
}

// invalidPod tells why a pod that came past the API cannot be run: its containers' names become names of files.
func invalidPod(pod *corev1.Pod) *failure {
	seen := map[string]bool{}
	for _, m := range members(pod) {
		if len(validation.IsDNS1123Label(m.Name)) > 0 || seen[m.Name] {
			return &failure{"InvalidPodSpec", fmt.Sprintf("Pod was rejected: container name %q is not a unique DNS label", m.Name)}
		}
		seen[m.Name] = true
	}
	for _, v := range pod.Spec.Volumes {
		if len(validation.IsDNS1123Label(v.Name)) > 0 {
			return &failure{"InvalidPodSpec", fmt.Sprintf("Pod was rejected: volume name %q is not a DNS label", v.Name)}
		}
	}
	return nil
}

// enter promises the pod its resources, or tells why the node cannot. A pod that runs already is never turned away.
func (k *kubelet) enter(pod *corev1.Pod, runs bool) *failure {
	node := k.node.current()
	k.mu.Lock()
	defer k.mu.Unlock()
	others := make([]*corev1.Pod, 0, len(k.admitted))
	for uid, p := range k.admitted {
		if uid != string(pod.UID) {
			others = append(others, p)
		}
	}
	if !runs {
		if f := refuse(pod, others, node); f != nil {
			return f
		}
	}
	k.admitted[string(pod.UID)] = pod
	return nil
}

// leave gives the pod's resources back.
func (k *kubelet) leave(uid string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.admitted, uid)
}

// refuse checks what the scheduler checked, for pods that came by it or were bound while the node changed. node nil: it is
// not known yet, nothing is checked. Pure.
func refuse(pod *corev1.Pod, others []*corev1.Pod, node *corev1.Node) *failure {
	if node == nil {
		return nil
	}
	if match, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(node); err != nil || !match {
		return &failure{"NodeAffinity", "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"}
	}
	if port := hostPortTaken(pod, others); port != "" {
		return &failure{"NodePorts", "Pod was rejected: Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports: " + port}
	}
	allocatable := node.Status.Allocatable
	if limit, ok := allocatable[corev1.ResourcePods]; ok && int64(len(others)+1) > limit.Value() {
		return &failure{"OutOfpods", fmt.Sprintf("Pod was rejected: Node didn't have enough resource: pods, requested: 1, used: %d, capacity: %d", len(others), limit.Value())}
	}
	requests := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		capacity, known := allocatable[name]
		want := amount(name, requests)
		if !known || want == 0 {
			continue
		}
		var used int64
		for _, p := range others {
			used += amount(name, resourcehelper.PodRequests(p, resourcehelper.PodResourcesOptions{}))
		}
		have := amount(name, corev1.ResourceList{name: capacity})
		if used+want > have {
			return &failure{"OutOf" + string(name), fmt.Sprintf("Pod was rejected: Node didn't have enough resource: %s, requested: %d, used: %d, capacity: %d", name, want, used, have)}
		}
	}
	return nil
}

// amount is a resource in bytes, or in thousandths of a cpu.
func amount(name corev1.ResourceName, list corev1.ResourceList) int64 {
	q := list[name]
	if name == corev1.ResourceCPU {
		return q.MilliValue()
	}
	return q.Value()
}

// hostPortTaken is a host port that the pod wants and another has: "80/TCP", "" where there is none.
func hostPortTaken(pod *corev1.Pod, others []*corev1.Pod) string {
	type port struct {
		number int32
		proto  corev1.Protocol
	}
	taken := map[port][]string{}
	for _, p := range others {
		for _, m := range members(p) {
			for _, x := range m.Ports {
				if x.HostPort > 0 {
					at := port{x.HostPort, x.Protocol}
					taken[at] = append(taken[at], x.HostIP)
				}
			}
		}
	}
	for _, m := range members(pod) {
		for _, x := range m.Ports {
			for _, ip := range taken[port{x.HostPort, x.Protocol}] {
				if x.HostPort > 0 && (anyAddress(ip) || anyAddress(x.HostIP) || ip == x.HostIP) {
					return fmt.Sprintf("%d/%s", x.HostPort, x.Protocol)
				}
			}
		}
	}
	return ""
}

func anyAddress(ip string) bool { return ip == "" || ip == "0.0.0.0" || ip == "::" }

// deadline ends a pod past its activeDeadlineSeconds; it returns how long that is away, 0 where there is none.
func (w *worker) deadline(now time.Time) time.Duration {
	limit := w.pod.Spec.ActiveDeadlineSeconds
	if limit == nil || w.gone || w.failure != nil || isTerminal(w.pod) || w.began.IsZero() {
		return 0
	}
	left := w.began.Add(time.Duration(*limit) * time.Second).Sub(now)
	if left > 0 {
		return left
	}
	w.failure = &failure{"DeadlineExceeded", "Pod was active on the node longer than the specified deadline"}
	w.k.podEvent(w.pod, corev1.EventTypeNormal, "DeadlineExceeded", "%s", w.failure.message)
	w.nudge()
	return 0
}
