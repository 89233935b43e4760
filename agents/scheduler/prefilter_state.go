package scheduler

import "math"

// tally counts by node label and its value.
type tally map[string]map[string]int64

func (t tally) add(key, value string, by int64) {
	if t[key] == nil {
		t[key] = map[string]int64{}
	}
	t[key][value] += by
}

// cycle is what filters and scores that look beyond one node need to know for a class: counts over all nodes. It is made
// once and then kept up to date as pods come and go; a change of nodes or namespaces drops it.
type cycle struct {
	w *world
	c *class

	spread []domains // by constraint
	theirs tally     // pods there that do not bear c
	ours   tally     // pods there that c does not bear
	wanted []map[string]int
	friend int // pods that match all required affinity terms
	liking tally

	relations map[*class]*relation
}

// domains are a constraint's counts by value of its label.
type domains struct {
	counts  []int
	counted []bool // domains that have a node whose pods count; the others matter to no one
	number  int    // of them
	at      []int  // the domain of each node, by slot; -1: the node lacks the label
	where   []bool // nodes whose pods count, by slot
	least   int
	stale   bool // least is to be found anew
	weight  float64
}

// relation is what one pod of another class on a node means to a pod of c.
type relation struct {
	spread []int    // constraints that count it
	theirs []string // keys
	ours   []string
	wanted bool
	likes  []like
}

type like struct {
	key    string
	weight int64
}

// hardAffinityWeight is what a required affinity of a pod that runs counts as a preference of the pods it wants.
const hardAffinityWeight = 1

func newCycle(w *world, c *class) *cycle {
	y := &cycle{w: w, c: c, theirs: tally{}, ours: tally{}, liking: tally{}, relations: map[*class]*relation{}}
	for range c.affinity {
		y.wanted = append(y.wanted, map[string]int{})
	}
	for i := range c.spread {
		y.spread = append(y.spread, y.domainsOf(&c.spread[i]))
	}
	for _, n := range w.order {
		for d, count := range n.classes {
			y.move(n, d, count-n.leaving[d], false)
			y.move(n, d, n.leaving[d], true)
		}
	}
	return y
}

func (y *cycle) domainsOf(t *constraint) domains {
	slots := len(y.w.nodes) + len(y.w.freeSlots)
	d := domains{at: make([]int, slots), where: make([]bool, slots), stale: true}
	values := map[string]int{}
	for _, n := range y.w.order {
		value, ok := n.label(t.key)
		if !ok {
			d.at[n.slot] = -1
			continue
		}
		at, known := values[value]
		if !known {
			at = len(d.counts)
			values[value] = at
			d.counts, d.counted = append(d.counts, 0), append(d.counted, false)
		}
		d.at[n.slot] = at
		if y.eligible(t, n) {
			d.where[n.slot] = true
			if !d.counted[at] {
				d.counted[at] = true
				d.number++
			}
		}
	}
	d.weight = math.Log(float64(d.number + 2))
	return d
}

// eligible tells whether pods on n count for a constraint.
func (y *cycle) eligible(t *constraint, n *node) bool {
	if t.implied {
		return true
	}
	for i := range y.c.spread {
		o := &y.c.spread[i]
		if _, ok := n.label(o.key); !ok && o.hard == t.hard {
			return false
		}
	}
	if !t.ignoreNodes {
		if ok, err := y.c.required.Match(n.object); !ok || err != nil {
			return false
		}
	}
	return !t.honourTaints || untolerated(n.object.Spec.Taints, y.c.tolerations) == nil
}

// move counts pods of class d that came to n (by > 0) or left it.
func (y *cycle) move(n *node, d *class, by int, leaving bool) {
	r := y.relation(d)
	if r == nil || by == 0 {
		return
	}
	if !leaving {
		for _, i := range r.spread {
			if s := &y.spread[i]; n.slot < len(s.where) && s.where[n.slot] {
				s.counts[s.at[n.slot]] += by
				s.stale = true
			}
		}
	}
	for _, key := range r.theirs {
		if value, ok := n.label(key); ok {
			y.theirs.add(key, value, int64(by))
		}
	}
	for _, key := range r.ours {
		if value, ok := n.label(key); ok {
			y.ours.add(key, value, int64(by))
		}
	}
	if r.wanted {
		for i := range y.c.affinity {
			if value, ok := n.label(y.c.affinity[i].key); ok {
				count(y.wanted[i], value, by)
				y.friend += by
			}
		}
	}
	for _, l := range r.likes {
		if value, ok := n.label(l.key); ok {
			y.liking.add(l.key, value, int64(by)*l.weight)
		}
	}
}

// relation is nil where pods of d mean nothing to c.
func (y *cycle) relation(d *class) *relation {
	r, known := y.relations[d]
	if !known {
		r = y.relate(d)
		y.relations[d] = r
	}
	return r
}

func (y *cycle) relate(d *class) *relation {
	c, namespaces := y.c, y.w.namespaces
	r := &relation{wanted: matchesAll(c.affinity, d, namespaces)}
	for i := range c.spread {
		if c.spread[i].counts(c, d) {
			r.spread = append(r.spread, i)
		}
	}
	for i := range d.anti {
		if d.anti[i].matches(c, namespaces) {
			r.theirs = append(r.theirs, d.anti[i].key)
		}
	}
	for i := range c.anti {
		if c.anti[i].matches(d, namespaces) {
			r.ours = append(r.ours, c.anti[i].key)
		}
	}
	add := func(t *term, other *class, weight int64) {
		if t.matches(other, namespaces) {
			r.likes = append(r.likes, like{t.key, weight})
		}
	}
	for i := range c.likes {
		add(&c.likes[i], d, c.likes[i].weight)
	}
	for i := range d.likes {
		add(&d.likes[i], c, d.likes[i].weight)
	}
	for i := range d.affinity {
		add(&d.affinity[i], c, hardAffinityWeight)
	}
	if !r.wanted && len(r.spread)+len(r.theirs)+len(r.ours)+len(r.likes) == 0 {
		return nil
	}
	return r
}

// low is the count of the emptiest domain, 0 where there are fewer domains than wanted.
func (d *domains) low(minDomains int) int {
	if d.number < minDomains {
		return 0
	}
	if d.stale {
		d.least, d.stale = math.MaxInt, false
		for i, n := range d.counts {
			if d.counted[i] {
				d.least = min(d.least, n)
			}
		}
	}
	return d.least
}
