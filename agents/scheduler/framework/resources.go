package framework

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"gantry/schema/pods"
)

// Resources are amounts that pods ask for and nodes have.
type Resources struct {
	CPU      int64 // millicores
	Memory   int64 // bytes
	Storage  int64 // bytes, ephemeral
	Pods     int64
	Extended map[corev1.ResourceName]int64 // nil: none
}

// The bounds of an amount. The sum over a node's pods can't overflow, whatever a hand-written object requests.
// A request at the bound fits no node.
const (
	maxRequest     = int64(1) << 48
	maxAllocatable = maxRequest - 1
)

// resourcesOf reads a list; amounts are clamped to [0, limit].
func resourcesOf(list corev1.ResourceList, limit int64) Resources {
	var r Resources
	for name, q := range list {
		switch name {
		case corev1.ResourceCPU:
			r.CPU = clamp(q, resource.Milli, limit)
		case corev1.ResourceMemory:
			r.Memory = clamp(q, 0, limit)
		case corev1.ResourceEphemeralStorage:
			r.Storage = clamp(q, 0, limit)
		case corev1.ResourcePods:
			r.Pods = clamp(q, 0, limit)
		default:
			if r.Extended == nil {
				r.Extended = map[corev1.ResourceName]int64{}
			}
			r.Extended[name] = clamp(q, 0, limit)
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

// Add adds d to r n times; n may be negative.
func (r *Resources) Add(d *Resources, n int64) {
	r.CPU += n * d.CPU
	r.Memory += n * d.Memory
	r.Storage += n * d.Storage
	r.Pods += n * d.Pods
	for name, v := range d.Extended {
		if r.Extended == nil {
			r.Extended = map[corev1.ResourceName]int64{}
		}
		if r.Extended[name] += n * v; r.Extended[name] == 0 {
			delete(r.Extended, name)
		}
	}
}

// Sum returns r plus d; both stay as they are.
func (r Resources) Sum(d *Resources) Resources {
	r.Extended = maps.Clone(r.Extended)
	r.Add(d, 1)
	return r
}

// RequestsOf returns what a pod takes of a node.
func RequestsOf(pod *corev1.Pod) Resources {
	r := resourcesOf(pods.Requests(pod), maxRequest)
	r.Pods = 1
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
	return r.CPU, r.Memory
}
