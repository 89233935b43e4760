package framework

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/labels"
)

// ClusterState holds every node, with the pods that are accounted for on it. Not safe for concurrent use.
type ClusterState struct {
	Plugins    *PluginSet   // of the first profile, and of pods that no profile schedules
	profiles   []*PluginSet // of all profiles
	Nodes      map[string]*NodeInfo
	NodeList   []*NodeInfo // those with an object, by name
	Signatures map[string]*PodSignature
	Namespaces map[string]labels.Set
	Images     map[string]int // number of nodes that have an image
	// Version grows with every change that could let a pod fit that did not.
	Version   int64
	freeSlots []int // slots of nodes that are gone
	NextStart int   // index in NodeList where the next search begins, so that equal nodes take turns

	RecentSignatures []*PodSignature // those that keep a pre-filter state and node results, the latest used first
	feasible         []feasibleNode  // scratch space of SelectNode
	scores           []float64       // likewise
	filters          []activeFilter  // likewise
}

// NewClusterState returns the state of a cluster without nodes; profiles has one set at least.
func NewClusterState(profiles ...*PluginSet) *ClusterState {
	return &ClusterState{
		Plugins: profiles[0], profiles: profiles,
		Nodes: map[string]*NodeInfo{}, Signatures: map[string]*PodSignature{},
		Namespaces: map[string]labels.Set{}, Images: map[string]int{},
	}
}

// Profile returns the plug-ins of the profile that schedules the pods of a scheduler name; nil: none does.
func (c *ClusterState) Profile(schedulerName string) *PluginSet {
	for _, set := range c.profiles {
		if set.SchedulerName == schedulerName {
			return set
		}
	}
	return nil
}

// NodeNamed returns the node of a name and adds it where it is missing.
func (c *ClusterState) NodeNamed(name string) *NodeInfo {
	n := c.Nodes[name]
	if n == nil {
		n = NewNodeInfo(name)
		c.Nodes[name] = n
		c.assignSlot(n)
	}
	return n
}

// SetNode sets a node's object; nil: it was deleted. It returns whether that may matter to any pod.
func (c *ClusterState) SetNode(name string, object *corev1.Node) bool {
	n := c.NodeNamed(name)
	old := n.Object
	if old != nil && object != nil && sameForPods(old, object) {
		n.Object = object
		return false
	}
	c.Version++
	for image := range n.Images {
		AddCount(c.Images, image, -1)
	}
	n.set(object)
	for image := range n.Images {
		AddCount(c.Images, image, 1)
	}
	if (old == nil) != (object == nil) {
		c.sortNodes()
	}
	c.dropUnusedNode(n)
	if old == nil || object == nil || !maps.Equal(old.Labels, object.Labels) || !equality.Semantic.DeepEqual(old.Spec.Taints, object.Spec.Taints) {
		c.DropPreFilterStates()
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

func (c *ClusterState) sortNodes() {
	c.NodeList = c.NodeList[:0]
	for _, name := range slices.Sorted(maps.Keys(c.Nodes)) {
		if n := c.Nodes[name]; n.Object != nil {
			c.NodeList = append(c.NodeList, n)
		}
	}
}

// dropUnusedNode drops a node that has no object, no pods and no nominated pods.
func (c *ClusterState) dropUnusedNode(n *NodeInfo) {
	if n.Object == nil && len(n.Pods)+len(n.Nominated) == 0 {
		delete(c.Nodes, n.Name)
		c.freeSlots = append(c.freeSlots, n.Slot)
	}
}

func (c *ClusterState) assignSlot(n *NodeInfo) {
	n.Slot = len(c.Nodes) - 1
	if last := len(c.freeSlots) - 1; last >= 0 {
		n.Slot, c.freeSlots = c.freeSlots[last], c.freeSlots[:last]
	}
}

// Slots returns a number that the slot of every node is less than.
func (c *ClusterState) Slots() int { return len(c.Nodes) + len(c.freeSlots) }

// SetNamespace sets a namespace's labels; nil: it was deleted. It returns whether they changed.
func (c *ClusterState) SetNamespace(name string, set labels.Set) bool {
	if old, ok := c.Namespaces[name]; ok && set != nil && maps.Equal(old, set) {
		return false
	}
	if set == nil {
		delete(c.Namespaces, name)
	} else {
		c.Namespaces[name] = set
	}
	c.Version++
	c.DropPreFilterStates()
	return true
}

// AddPod accounts for a pod on a node.
func (c *ClusterState) AddPod(p *PodInfo, n *NodeInfo) {
	c.RemovePod(p)
	if c.Nodes[n.Name] == nil { // removing its last pod dropped it
		c.Nodes[n.Name] = n
		c.assignSlot(n)
	}
	p.Node = n
	n.Add(p)
	c.Version++
	c.updatePreFilterStates(n, p, 1)
}

// RemovePod stops accounting for a pod on its node, if it has one.
func (c *ClusterState) RemovePod(p *PodInfo) {
	n := p.Node
	if n == nil {
		return
	}
	n.Remove(p)
	p.Node = nil
	c.Version++
	c.updatePreFilterStates(n, p, -1)
	c.dropUnusedNode(n)
}

// Nominate reserves what p requests on n against pods of lower priority; nil: on no node.
func (c *ClusterState) Nominate(p *PodInfo, n *NodeInfo) {
	if p.Nominated == n {
		return
	}
	if old := p.Nominated; old != nil {
		delete(old.Nominated, p)
		old.generation++
		c.Version++
		c.dropUnusedNode(old)
	}
	if p.Nominated = n; n != nil {
		n.Nominated[p] = true
		n.generation++
		c.Version++
	}
}

// SetTerminating sets whether a pod is being deleted.
func (c *ClusterState) SetTerminating(p *PodInfo, terminating bool) {
	if p.Terminating == terminating {
		return
	}
	n := p.Node
	c.RemovePod(p)
	p.Terminating = terminating
	if n != nil {
		c.AddPod(p, n)
	}
}
