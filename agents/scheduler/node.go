package scheduler

import (
	"maps"

	corev1 "k8s.io/api/core/v1"

	"gantry/schema/pods"
)

// node is a node and the sums over its pods.
type node struct {
	name string
	slot int // index of the node in slices by node
	// object is nil while only pods name the node; no pod is placed on it then.
	object *corev1.Node
	// generation grows with every change that a filter or score of this node alone depends on.
	generation   int64
	allocatable  resources
	requested    resources
	scoredCPU    int64 // requested, with defaultRequests
	scoredMemory int64
	ports        map[pods.HostPort]int
	pods         map[string]*podInfo   // by key
	signatures   map[*podSignature]int // number of pods by signature
	terminating  map[*podSignature]int // of them, being deleted
	nominated    map[*podInfo]bool     // pods that this is the nominated node of
	images       map[string]int64
}

func newNode(name string) *node {
	return &node{name: name, ports: map[pods.HostPort]int{}, pods: map[string]*podInfo{}, signatures: map[*podSignature]int{}, terminating: map[*podSignature]int{}, nominated: map[*podInfo]bool{}}
}

// set sets a node's object.
func (n *node) set(object *corev1.Node) {
	n.generation++
	n.object = object
	n.images = nil
	n.allocatable = resources{}
	if object == nil {
		return
	}
	n.allocatable = resourcesOf(object.Status.Allocatable, maxAllocatable)
	n.images = map[string]int64{}
	for _, image := range object.Status.Images {
		for _, name := range image.Names {
			n.images[name] = image.SizeBytes
		}
	}
}

// add and remove change the sums by one pod.
func (n *node) add(p *podInfo)    { n.account(p, 1); n.pods[p.key] = p }
func (n *node) remove(p *podInfo) { n.account(p, -1); delete(n.pods, p.key) }

func (n *node) account(p *podInfo, by int) {
	n.generation++
	sig := p.signature
	n.requested.add(&sig.requests, int64(by))
	n.scoredCPU += int64(by) * sig.scoredCPU
	n.scoredMemory += int64(by) * sig.scoredMemory
	for _, hp := range sig.ports {
		count(n.ports, hp, by)
	}
	count(n.signatures, sig, by)
	if p.terminating {
		count(n.terminating, sig, by)
	}
}

// label returns the value of a label and whether the node has it.
func (n *node) label(key string) (string, bool) {
	v, ok := n.object.Labels[key]
	return v, ok
}

// clone returns a copy whose pods can be added and removed; the pods themselves are shared.
func (n *node) clone() *node {
	d := newNode(n.name)
	d.set(n.object)
	for _, p := range n.pods {
		d.add(p)
	}
	maps.Copy(d.nominated, n.nominated)
	d.generation = n.generation
	return d
}

// count adds by to m[key] and deletes keys that reach zero.
func count[K comparable](m map[K]int, key K, by int) {
	if m[key] += by; m[key] == 0 {
		delete(m, key)
	}
}
