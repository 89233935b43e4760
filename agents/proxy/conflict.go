package proxy

import (
	"cmp"
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

// resolveConflicts gives every key to one owner. A cluster IP belongs to one service with all its ports and takes precedence over
// any other use of the address. Otherwise services take precedence over pods' host ports, then the older object over the younger,
// then the lower UID. Pure; the result does not depend on the order of all.
func resolveConflicts(all map[string]*compiledObject) (map[key]*frontend, []conflict) {
	owners := map[netip.Addr]string{}
	for name, c := range all {
		for _, f := range c.frontends {
			if was := all[owners[f.key.addr]]; f.cluster && (was == nil || hasPrecedence(c, was)) {
				owners[f.key.addr] = name
			}
		}
	}
	won := make(map[key]*frontend, len(all))
	var conflicts []conflict
	lost := func(k key, loser, owner string) {
		conflicts = append(conflicts, conflict{key: k, loser: loser, owner: owner})
	}
	for name, c := range all {
		conflicts = append(conflicts, c.rejected...)
		for _, f := range c.frontends {
			if owner := owners[f.key.addr]; owner != "" && (owner != name || !f.cluster) {
				lost(f.key, name, owner)
				continue
			}
			was := won[f.key]
			switch {
			case was == nil:
				won[f.key] = f
			case was.owner == name: // the object has the port twice: the first one counts
			case hasPrecedence(c, all[was.owner]):
				won[f.key] = f
				lost(f.key, was.owner, name)
			default:
				lost(f.key, name, was.owner)
			}
		}
	}
	slices.SortFunc(conflicts, func(x, y conflict) int {
		return cmp.Or(cmp.Compare(x.loser, y.loser), cmp.Compare(x.key.String(), y.key.String()))
	})
	return won, conflicts
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
