package scheduler

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// node is a node and what its pods take of it. It is kept up to date change by change.
type node struct {
	name string
	slot int // a small number that no other known node has, for tables by node
	// object is nil while only pods are known that name the node: nothing can be placed then.
	object *corev1.Node
	// generation grows with every change that a filter or a score of this node alone could see.
	generation  int64
	allocatable resources
	requested   resources
	weightCPU   int64 // requested, with assumptions for containers that do not say
	weightMem   int64
	ports       map[hostPort]int
	pods        map[string]*pod // by key
	classes     map[*class]int  // pods by class
	leaving     map[*class]int  // of them, being deleted
	nominated   map[*pod]bool   // pods that others were evicted for
	images      map[string]int64
}

func newNode(name string) *node {
	return &node{name: name, ports: map[hostPort]int{}, pods: map[string]*pod{}, classes: map[*class]int{}, leaving: map[*class]int{}, nominated: map[*pod]bool{}}
}

// set takes over a node's object.
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

// add and remove account for a pod.
func (n *node) add(p *pod)    { n.move(p, 1); n.pods[p.key] = p }
func (n *node) remove(p *pod) { n.move(p, -1); delete(n.pods, p.key) }

func (n *node) move(p *pod, by int) {
	n.generation++
	c := p.class
	n.requested.move(&c.requests, int64(by))
	n.weightCPU += int64(by) * c.weightCPU
	n.weightMem += int64(by) * c.weightMem
	for _, hp := range c.ports {
		count(n.ports, hp, by)
	}
	count(n.classes, c, by)
	if p.leaving {
		count(n.leaving, c, by)
	}
}

// label is the value of a label and whether the node has it.
func (n *node) label(key string) (string, bool) {
	v, ok := n.object.Labels[key]
	return v, ok
}

// fits returns the names of what is short for c, in a fixed order, and whether the whole empty node would be too small.
func (n *node) fits(c *class) (short []string, hopeless bool) {
	r, taken := &c.requests, n.requested
	for p := range n.nominated {
		if p.class.priority > c.priority {
			taken = taken.plus(&p.class.requests)
		}
	}
	lack := func(name string, want, used, have int64) {
		if want > 0 && want > have-used {
			short = append(short, name)
			hopeless = hopeless || want > have
		}
	}
	if taken.pods+r.pods > n.allocatable.pods {
		short = append(short, "Too many pods")
		hopeless = r.pods > n.allocatable.pods
	}
	lack("Insufficient cpu", r.cpu, taken.cpu, n.allocatable.cpu)
	lack("Insufficient memory", r.memory, taken.memory, n.allocatable.memory)
	lack("Insufficient ephemeral-storage", r.storage, taken.storage, n.allocatable.storage)
	for name, want := range r.extended {
		lack("Insufficient "+string(name), want, taken.extended[name], n.allocatable.extended[name])
	}
	if len(r.extended) > 1 {
		slices.Sort(short)
	}
	return short, hopeless
}

// clone is a copy whose accounting can be changed; the pods themselves are shared.
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

// count adds by to m[key] and drops what reaches zero.
func count[K comparable](m map[K]int, key K, by int) {
	if m[key] += by; m[key] == 0 {
		delete(m, key)
	}
}
