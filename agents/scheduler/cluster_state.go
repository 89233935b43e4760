package scheduler

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/labels"
)

// clusterState holds every node, with the pods that are accounted for on it. Not safe for concurrent use.
type clusterState struct {
	plugins    *pluginSet
	nodes      map[string]*node
	nodeList   []*node // those with an object, by name
	signatures map[string]*podSignature
	namespaces map[string]labels.Set
	images     map[string]int // number of nodes that have an image
	// version grows with every change that could let a pod fit that did not.
	version   int64
	freeSlots []int // slots of nodes that are gone
	nextStart int   // index in nodeList where the next search begins, so that equal nodes take turns

	recentSignatures []*podSignature // those that keep a pre-filter state and node results, the latest used first
	feasible         []feasibleNode  // scratch space of selectNode
	scores           []float64       // likewise
	filters          []activeFilter  // likewise
}

func newClusterState(set *pluginSet) *clusterState {
	return &clusterState{
		plugins: set,
		nodes:   map[string]*node{}, signatures: map[string]*podSignature{},
		namespaces: map[string]labels.Set{}, images: map[string]int{},
	}
}

// nodeNamed returns the node of a name and adds it where it is missing.
func (c *clusterState) nodeNamed(name string) *node {
	n := c.nodes[name]
	if n == nil {
		n = newNode(name)
		c.nodes[name] = n
		c.assignSlot(n)
	}
	return n
}

// setNode sets a node's object; nil: it was deleted. It returns whether that may matter to any pod.
func (c *clusterState) setNode(name string, object *corev1.Node) bool {
	n := c.nodeNamed(name)
	old := n.object
	if old != nil && object != nil && sameForPods(old, object) {
		n.object = object
		return false
	}
	c.version++
	for image := range n.images {
		count(c.images, image, -1)
	}
	n.set(object)
	for image := range n.images {
		count(c.images, image, 1)
	}
	if (old == nil) != (object == nil) {
		c.sortNodes()
	}
	c.dropUnusedNode(n)
	if old == nil || object == nil || !maps.Equal(old.Labels, object.Labels) || !equality.Semantic.DeepEqual(old.Spec.Taints, object.Spec.Taints) {
		c.dropPreFilterStates()
	}
	return true
}

// sameForPods returns whether every filter and score gives the same for both states of a node, as after a heartbeat.
func sameForPods(a, b *corev1.Node) bool {
	return a.Spec.Unschedulable == b.Spec.Unschedulable &&
		maps.Equal(a.Labels, b.Labels) &&
		equality.Semantic.DeepEqual(a.Spec.Taints, b.Spec.Taints) &&
		equality.Semantic.DeepEqual(a.Status.Allocatable, b.Status.Allocatable) &&
		equality.Semantic.DeepEqual(a.Status.Images, b.Status.Images)
}

func (c *clusterState) sortNodes() {
	c.nodeList = c.nodeList[:0]
	for _, name := range slices.Sorted(maps.Keys(c.nodes)) {
		if n := c.nodes[name]; n.object != nil {
			c.nodeList = append(c.nodeList, n)
		}
	}
}

// dropUnusedNode drops a node that has no object, no pods and no nominated pods.
func (c *clusterState) dropUnusedNode(n *node) {
	if n.object == nil && len(n.pods)+len(n.nominated) == 0 {
		delete(c.nodes, n.name)
		c.freeSlots = append(c.freeSlots, n.slot)
	}
}

func (c *clusterState) assignSlot(n *node) {
	n.slot = len(c.nodes) - 1
	if last := len(c.freeSlots) - 1; last >= 0 {
		n.slot, c.freeSlots = c.freeSlots[last], c.freeSlots[:last]
	}
}

// setNamespace sets a namespace's labels; nil: it was deleted. It returns whether they changed.
func (c *clusterState) setNamespace(name string, set labels.Set) bool {
	if old, ok := c.namespaces[name]; ok && set != nil && maps.Equal(old, set) {
		return false
	}
	if set == nil {
		delete(c.namespaces, name)
	} else {
		c.namespaces[name] = set
	}
	c.version++
	c.dropPreFilterStates()
	return true
}

// addPod accounts for a pod on a node.
func (c *clusterState) addPod(p *podInfo, n *node) {
	c.removePod(p)
	if c.nodes[n.name] == nil { // removing its last pod dropped it
		c.nodes[n.name] = n
		c.assignSlot(n)
	}
	p.node = n
	n.add(p)
	c.version++
	c.updatePreFilterStates(n, p, 1)
}

// removePod stops accounting for a pod on its node, if it has one.
func (c *clusterState) removePod(p *podInfo) {
	n := p.node
	if n == nil {
		return
	}
	n.remove(p)
	p.node = nil
	c.version++
	c.updatePreFilterStates(n, p, -1)
	c.dropUnusedNode(n)
}

// nominate reserves what p requests on n against pods of lower priority; nil: on no node.
func (c *clusterState) nominate(p *podInfo, n *node) {
	if p.nominated == n {
		return
	}
	if old := p.nominated; old != nil {
		delete(old.nominated, p)
		old.generation++
		c.version++
		c.dropUnusedNode(old)
	}
	if p.nominated = n; n != nil {
		n.nominated[p] = true
		n.generation++
		c.version++
	}
}

// setTerminating sets whether a pod is being deleted.
func (c *clusterState) setTerminating(p *podInfo, terminating bool) {
	if p.terminating == terminating {
		return
	}
	n := p.node
	c.removePod(p)
	p.terminating = terminating
	if n != nil {
		c.addPod(p, n)
	}
}
