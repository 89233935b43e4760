package scheduler

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"gantry/schema/pods"
)

// resources are amounts that pods ask for and nodes have.
type resources struct {
	cpu      int64 // millicores
	memory   int64 // bytes
	storage  int64 // bytes, ephemeral
	pods     int64
	extended map[corev1.ResourceName]int64 // nil: none
}

// The bounds of an amount, so that the sum over a node's pods can't overflow whatever a hand-written object asks
// for. A request at the bound fits no node.
const (
	maxRequest     = int64(1) << 48
	maxAllocatable = maxRequest - 1
)

// resourcesOf reads a list; amounts are clamped to [0, limit].
func resourcesOf(list corev1.ResourceList, limit int64) resources {
	var r resources
	for name, q := range list {
		switch name {
		case corev1.ResourceCPU:
			r.cpu = clamp(q, resource.Milli, limit)
		case corev1.ResourceMemory:
			r.memory = clamp(q, 0, limit)
		case corev1.ResourceEphemeralStorage:
			r.storage = clamp(q, 0, limit)
		case corev1.ResourcePods:
			r.pods = clamp(q, 0, limit)
		default:
			if r.extended == nil {
				r.extended = map[corev1.ResourceName]int64{}
			}
			r.extended[name] = clamp(q, 0, limit)
		}
	}
	return r
}

// clamp is q in units of a scale, within [0, limit]. The sum of a pod's containers may be more than an int64 holds.
func clamp(q resource.Quantity, scale resource.Scale, limit int64) int64 {
	if q.CmpInt64(maxRequest) >= 0 {
		return limit
	}
	return max(0, min(q.ScaledValue(scale), limit))
}

// add adds d to r n times; n may be negative.
func (r *resources) add(d *resources, n int64) {
	r.cpu += n * d.cpu
	r.memory += n * d.memory
	r.storage += n * d.storage
	r.pods += n * d.pods
	for name, v := range d.extended {
		if r.extended == nil {
			r.extended = map[corev1.ResourceName]int64{}
		}
		if r.extended[name] += n * v; r.extended[name] == 0 {
			delete(r.extended, name)
		}
	}
}

// sum returns r plus d; both stay as they are.
func (r resources) sum(d *resources) resources {
	r.extended = maps.Clone(r.extended)
	r.add(d, 1)
	return r
}

// requestsOf returns what a pod takes of a node.
func requestsOf(pod *corev1.Pod) resources {
	r := resourcesOf(pods.Requests(pod), maxRequest)
	r.pods = 1
	return r
}

// resizedRequests returns the requests of a pod that is being resized; nil: it is not, its spec says all.
func resizedRequests(pod *corev1.Pod) corev1.ResourceList {
	if !pods.IsBeingResized(pod) {
		return nil
	}
	return pods.Requests(pod)
}

// defaultRequests count for containers that request nothing when nodes are scored: otherwise a node full of such containers would
// score as empty.
var defaultRequests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("200Mi")}

// scoredRequestsOf returns the requests of a pod with defaultRequests.
func scoredRequestsOf(pod *corev1.Pod) (cpu, memory int64) {
	r := resourcesOf(pods.RequestsWithDefaults(pod, defaultRequests), maxRequest)
	return r.cpu, r.memory
}
