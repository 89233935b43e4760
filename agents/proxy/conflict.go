package proxy

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// compiledObject is a service, or a pod with host ports, with the frontends it wants.
type compiledObject struct {
	obj       metav1.Object
	frontends []*frontend
	rejected  []conflict   // invalid whatever other objects there are
	health    *healthCheck // nil: it has no health check port
}

func (c *compiledObject) isPod() bool {
	_, ok := c.obj.(*corev1.Pod)
	return ok
}

// conflict is a key that a service or pod wants and does not get: loser has lost it to owner, or reason says why it is invalid.
type conflict struct {
	key          key
	loser, owner string
	reason       string // "": owner takes precedence
}

// claims gives every key that objects want to one of them. A cluster IP belongs to one service with all its ports and takes precedence over
// any other use of the address. Otherwise services take precedence over pods' host ports, then the older object over the younger,
// then the lower UID. It keeps what it knows of each key, so that a change costs what the changed objects have, not what all have.
type claims struct {
	objects map[string]*compiledObject
	// wanted are the frontends of each key by all objects, keys are those of each address, and owners are the objects whose cluster IP an
	// address is. Without entries for none.
	wanted map[key][]claim
	keys   map[netip.Addr]map[key]bool
	owners map[netip.Addr][]string
	// won is the frontend of each key, lost what other objects do not get.
	won  map[key]*frontend
	lost map[key][]conflict
	// rejected are invalid whatever other objects there are, by object.
	rejected map[string][]conflict
}

// claim is a frontend that an object wants.
type claim struct {
	object string
	*frontend
}

func newClaims() *claims {
	return &claims{
		objects: map[string]*compiledObject{}, wanted: map[key][]claim{}, keys: map[netip.Addr]map[key]bool{}, owners: map[netip.Addr][]string{},
		won: map[key]*frontend{}, lost: map[key][]conflict{}, rejected: map[string][]conflict{},
	}
}

// update makes all the objects that there are, and returns the keys that may have another frontend. Pure; what it leads to does not
// depend on the order of changes.
func (c *claims) update(all map[string]*compiledObject) (changed map[key]bool) {
	changed = map[key]bool{}
	for name, was := range c.objects {
		if all[name] != was {
			c.remove(name, was, changed)
		}
	}
	for name, is := range all {
		if c.objects[name] != is {
			c.add(name, is, changed)
		}
	}
	for k := range changed {
		c.resolve(k)
	}
	return changed
}

// remove takes back what an object wants. changed gets its keys, and all of its cluster IPs.
func (c *claims) remove(name string, o *compiledObject, changed map[key]bool) {
	delete(c.objects, name)
	delete(c.rejected, name)
	for _, f := range o.frontends {
		if c.touch(f, changed); f.cluster {
			setOrDelete(c.owners, f.key.addr, slices.DeleteFunc(c.owners[f.key.addr], func(n string) bool { return n == name }))
		}
		setOrDelete(c.wanted, f.key, slices.DeleteFunc(c.wanted[f.key], func(x claim) bool { return x.object == name }))
		if c.wanted[f.key] == nil {
			if delete(c.keys[f.key.addr], f.key); len(c.keys[f.key.addr]) == 0 {
				delete(c.keys, f.key.addr)
			}
		}
	}
}

func (c *claims) add(name string, o *compiledObject, changed map[key]bool) {
	c.objects[name] = o
	setOrDelete(c.rejected, name, o.rejected)
	for _, f := range o.frontends {
		c.wanted[f.key] = append(c.wanted[f.key], claim{name, f})
		if c.keys[f.key.addr] == nil {
			c.keys[f.key.addr] = map[key]bool{}
		}
		c.keys[f.key.addr][f.key] = true
		if f.cluster && !slices.Contains(c.owners[f.key.addr], name) {
			c.owners[f.key.addr] = append(c.owners[f.key.addr], name)
		}
		c.touch(f, changed)
	}
}

// touch puts into changed what a frontend has an effect on.
func (c *claims) touch(f *frontend, changed map[key]bool) {
	if changed[f.key] = true; f.cluster {
		maps.Copy(changed, c.keys[f.key.addr])
	}
}

func setOrDelete[K comparable, V any](m map[K][]V, k K, list []V) {
	if len(list) == 0 {
		delete(m, k)
		return
	}
	m[k] = list
}

// resolve decides who gets a key.
func (c *claims) resolve(k key) {
	owner := c.first(c.owners[k.addr])
	var names []string
	for _, x := range c.wanted[k] {
		if owner == "" || (x.object == owner && x.cluster) {
			names = append(names, x.object)
		}
	}
	winner := c.first(names)
	delete(c.won, k)
	delete(c.lost, k)
	for _, x := range c.wanted[k] {
		switch {
		case x.object == winner && c.won[k] == nil && (owner == "" || x.cluster):
			c.won[k] = x.frontend
		case x.object == winner && (owner == "" || x.cluster): // the object has the port twice: the first one counts
		case owner != "":
			c.lost[k] = append(c.lost[k], conflict{key: k, loser: x.object, owner: owner})
		default:
			c.lost[k] = append(c.lost[k], conflict{key: k, loser: x.object, owner: winner})
		}
	}
}

// first returns which object takes precedence; "" for none.
func (c *claims) first(names []string) (first string) {
	for _, n := range names {
		if first == "" || hasPrecedence(c.objects[n], c.objects[first]) {
			first = n
		}
	}
	return first
}

// conflicts returns what objects want and do not get, sorted.
func (c *claims) conflicts() (out []conflict) {
	for _, list := range c.lost {
		out = append(out, list...)
	}
	for _, list := range c.rejected {
		out = append(out, list...)
	}
	slices.SortFunc(out, func(x, y conflict) int {
		return cmp.Or(cmp.Compare(x.loser, y.loser), cmp.Compare(x.key.String(), y.key.String()))
	})
	return out
}

// hasPrecedence returns whether x takes precedence over y where both want one key.
func hasPrecedence(x, y *compiledObject) bool {
	if x.isPod() != y.isPod() {
		return y.isPod()
	}
	born, other := x.obj.GetCreationTimestamp(), y.obj.GetCreationTimestamp()
	if !born.Equal(&other) {
		return born.Before(&other)
	}
	return cmp.Or(cmp.Compare(x.obj.GetUID(), y.obj.GetUID()), cmp.Compare(x.obj.GetNamespace(), y.obj.GetNamespace()), cmp.Compare(x.obj.GetName(), y.obj.GetName())) < 0
}
