package scheduler

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/labels"
)

// world is what the scheduler knows: every node, every pod that has not ended, and where it runs. Not safe for concurrent
// use.
type world struct {
	nodes      map[string]*node
	order      []*node // those with an object, by name
	pods       map[string]*pod
	classes    map[string]*class
	namespaces map[string]labels.Set
	images     map[string]int // nodes that have an image
	// version grows with every change that could let a pod fit that did not.
	version   int64
	freeSlots []int // below the number of nodes ever known at once
	turn      int   // where the search for a node begins, so that equal nodes take turns

	recent     []*class    // those whose findings are kept, the latest first
	candidates []candidate // scratch of choose
}

// recentMax bounds the memory of findings: each class keeps something for every node.
const recentMax = 32

func newWorld() *world {
	return &world{
		nodes: map[string]*node{}, pods: map[string]*pod{}, classes: map[string]*class{},
		namespaces: map[string]labels.Set{}, images: map[string]int{},
	}
}

// node is the node of a name, made where it is not known.
func (w *world) node(name string) *node {
	n := w.nodes[name]
	if n == nil {
		n = newNode(name)
		w.nodes[name] = n
		w.giveSlot(n)
	}
	return n
}

// setNode takes over a node's object, nil: it is gone. It tells whether that may matter to any pod.
func (w *world) setNode(name string, object *corev1.Node) bool {
	n := w.node(name)
	old := n.object
	if old != nil && object != nil && sameForPods(old, object) {
		n.object = object
		return false
	}
	w.version++
	for image := range n.images {
		count(w.images, image, -1)
	}
	n.set(object)
	for image := range n.images {
		count(w.images, image, 1)
	}
	if (old == nil) != (object == nil) {
		w.reorder()
	}
	w.forgetNode(n)
	if old == nil || object == nil || !maps.Equal(old.Labels, object.Labels) || !equality.Semantic.DeepEqual(old.Spec.Taints, object.Spec.Taints) {
		w.dropCycles()
	}
	return true
}

// sameForPods tells whether two states of a node are alike to every filter and score. A heartbeat makes such states.
func sameForPods(a, b *corev1.Node) bool {
	return a.Spec.Unschedulable == b.Spec.Unschedulable &&
		maps.Equal(a.Labels, b.Labels) &&
		equality.Semantic.DeepEqual(a.Spec.Taints, b.Spec.Taints) &&
		equality.Semantic.DeepEqual(a.Status.Allocatable, b.Status.Allocatable) &&
		equality.Semantic.DeepEqual(a.Status.Images, b.Status.Images)
}

func (w *world) reorder() {
	w.order = w.order[:0]
	for _, name := range slices.Sorted(maps.Keys(w.nodes)) {
		if n := w.nodes[name]; n.object != nil {
			w.order = append(w.order, n)
		}
	}
}

// forgetNode drops a node that has neither object nor pods.
func (w *world) forgetNode(n *node) {
	if n.object == nil && len(n.pods)+len(n.nominated) == 0 {
		delete(w.nodes, n.name)
		w.freeSlots = append(w.freeSlots, n.slot)
	}
}

func (w *world) giveSlot(n *node) {
	n.slot = len(w.nodes) - 1
	if last := len(w.freeSlots) - 1; last >= 0 {
		n.slot, w.freeSlots = w.freeSlots[last], w.freeSlots[:last]
	}
}

// setNamespace takes over a namespace's labels; nil: it is gone.
func (w *world) setNamespace(name string, set labels.Set) bool {
	if old, ok := w.namespaces[name]; ok && set != nil && maps.Equal(old, set) {
		return false
	}
	if set == nil {
		delete(w.namespaces, name)
	} else {
		w.namespaces[name] = set
	}
	w.version++
	w.dropCycles()
	return true
}

func (w *world) dropCycles() {
	for _, c := range w.recent {
		c.cycle = nil
	}
}

// use keeps the findings of c and drops those of the class that was used longest ago.
func (w *world) use(c *class) *cycle {
	if i := slices.Index(w.recent, c); i > 0 {
		w.recent = slices.Delete(w.recent, i, i+1)
		w.recent = slices.Insert(w.recent, 0, c)
	} else if i < 0 {
		w.recent = slices.Insert(w.recent, 0, c)
	}
	if len(w.recent) > recentMax {
		w.drop(w.recent[recentMax])
	}
	if c.cycle == nil {
		c.cycle = newCycle(w, c)
	}
	return c.cycle
}

// drop forgets the findings of c.
func (w *world) drop(c *class) {
	c.verdicts, c.cycle = nil, nil
	if i := slices.Index(w.recent, c); i >= 0 {
		w.recent = slices.Delete(w.recent, i, i+1)
	}
}

// fitsAlone tells whether a pod of c fits n as far as the node alone decides.
func (w *world) fitsAlone(c *class, n *node) bool {
	if n.object == nil || c.fault != nil {
		return false
	}
	if c.cycle != nil {
		return c.cycle.verdict(n).reasons == nil
	}
	y := cycle{w: w, c: c}
	v := y.judge(n)
	return v.reasons == nil
}

// classOf is the class of a pod, made where it is not known. The caller holds it by setClass.
func (w *world) classOf(object *corev1.Pod) *class {
	signature := signatureOf(object)
	c := w.classes[signature]
	if c == nil {
		c = newClass(signature, object)
		w.classes[signature] = c
	}
	return c
}

// setClass changes what class a pod is of; nil lets go of it.
func (w *world) setClass(p *pod, c *class) {
	if p.class == c {
		return
	}
	at := p.node
	w.take(p)
	if c != nil {
		c.pods++
	}
	if old := p.class; old != nil {
		if old.pods--; old.pods == 0 {
			w.forgetClass(old)
		}
	}
	p.class = c
	if at != nil && c != nil {
		w.put(p, at)
	}
}

func (w *world) forgetClass(c *class) {
	delete(w.classes, c.signature)
	w.drop(c)
	for _, other := range w.recent {
		if other.cycle != nil {
			delete(other.cycle.relations, c)
		}
	}
}

// put accounts for a pod on a node.
func (w *world) put(p *pod, n *node) {
	w.take(p)
	if w.nodes[n.name] == nil { // taking its last pod has dropped it
		w.nodes[n.name] = n
		w.giveSlot(n)
	}
	p.node = n
	n.add(p)
	w.version++
	w.moved(n, p, 1)
}

// take stops accounting for a pod on its node, if it has one.
func (w *world) take(p *pod) {
	n := p.node
	if n == nil {
		return
	}
	n.remove(p)
	p.node = nil
	w.version++
	w.moved(n, p, -1)
	w.forgetNode(n)
}

// nominate keeps room for p on n, nil: nowhere, from pods of lower priority.
func (w *world) nominate(p *pod, n *node) {
	if p.nominated == n {
		return
	}
	if old := p.nominated; old != nil {
		delete(old.nominated, p)
		old.generation++
		w.version++
		w.forgetNode(old)
	}
	if p.nominated = n; n != nil {
		n.nominated[p] = true
		n.generation++
		w.version++
	}
}

// setLeaving notes that a pod is being deleted.
func (w *world) setLeaving(p *pod, leaving bool) {
	if p.leaving == leaving {
		return
	}
	at := p.node
	w.take(p)
	p.leaving = leaving
	if at != nil {
		w.put(p, at)
	}
}

// moved keeps the counts of every class up to date that has any.
func (w *world) moved(n *node, p *pod, by int) {
	if n.object == nil {
		return
	}
	for _, c := range w.recent {
		if c.cycle != nil {
			c.cycle.move(n, p.class, by, p.leaving)
		}
	}
}
