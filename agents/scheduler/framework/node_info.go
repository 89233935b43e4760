package framework

import (
	"maps"

	corev1 "k8s.io/api/core/v1"

	"gantry/schema/pods"
)

// NodeInfo is a node and the sums over its pods.
type NodeInfo struct {
	Name string
	Slot int // index of the node in slices by node
	// Object is nil while only pods name the node; no pod is placed on it then.
	Object *corev1.Node
	// generation grows with every change that a filter or score of this node alone depends on.
	generation   int64
	Allocatable  Resources
	Requested    Resources
	ScoredCPU    int64 // requested, with defaultRequests
	ScoredMemory int64
	Ports        map[pods.HostPort]int
	Pods         map[string]*PodInfo   // by key
	Signatures   map[*PodSignature]int // number of pods by signature
	Terminating  map[*PodSignature]int // of them, being deleted
	Nominated    map[*PodInfo]bool     // pods that this is the nominated node of
	Images       map[string]int64
}

// NewNodeInfo returns a node without an object and without pods.
func NewNodeInfo(name string) *NodeInfo {
	return &NodeInfo{Name: name, Ports: map[pods.HostPort]int{}, Pods: map[string]*PodInfo{}, Signatures: map[*PodSignature]int{}, Terminating: map[*PodSignature]int{}, Nominated: map[*PodInfo]bool{}}
}

// set sets a node's object.
func (n *NodeInfo) set(object *corev1.Node) {
	n.generation++
	n.Object = object
	n.Images = nil
	n.Allocatable = Resources{}
	if object == nil {
		return
	}
	n.Allocatable = resourcesOf(object.Status.Allocatable, maxAllocatable)
	n.Images = map[string]int64{}
	for _, image := range object.Status.Images {
		for _, name := range image.Names {
			n.Images[name] = image.SizeBytes
		}
	}
}

// Add adds a pod to the sums.
func (n *NodeInfo) Add(p *PodInfo) { n.account(p, 1); n.Pods[p.Key] = p }

// Remove removes a pod from the sums.
func (n *NodeInfo) Remove(p *PodInfo) { n.account(p, -1); delete(n.Pods, p.Key) }

func (n *NodeInfo) account(p *PodInfo, by int) {
	n.generation++
	sig := p.Signature
	n.Requested.Add(&sig.Requests, int64(by))
	n.ScoredCPU += int64(by) * sig.ScoredCPU
	n.ScoredMemory += int64(by) * sig.ScoredMemory
	for _, hp := range sig.Ports {
		AddCount(n.Ports, hp, by)
	}
	AddCount(n.Signatures, sig, by)
	if p.Terminating {
		AddCount(n.Terminating, sig, by)
	}
}

// Label returns the value of a label and whether the node has it.
func (n *NodeInfo) Label(key string) (string, bool) {
	v, ok := n.Object.Labels[key]
	return v, ok
}

// Clone returns a copy whose pods can be added and removed; the pods themselves are shared.
func (n *NodeInfo) Clone() *NodeInfo {
	d := NewNodeInfo(n.Name)
	d.set(n.Object)
	for _, p := range n.Pods {
		d.Add(p)
	}
	maps.Copy(d.Nominated, n.Nominated)
	d.generation = n.generation
	return d
}

// AddCount adds by to m[key] and deletes keys that reach zero.
func AddCount[K comparable](m map[K]int, key K, by int) {
	if m[key] += by; m[key] == 0 {
		delete(m, key)
	}
}
