package schema

import (
	"maps"
	"slices"
)

// groupIndex is what a Set finds in one group. Sets share it: it is cloned to be changed.
type groupIndex struct {
	byResource map[string]*Kind // by plural
	byPlural   map[versioned]Served
	byKind     map[versioned]Served
}

// versioned is the plural or the kind of one version of a group.
type versioned struct{ version, name string }

func (g groupIndex) clone() groupIndex {
	if g.byResource == nil {
		return groupIndex{map[string]*Kind{}, map[versioned]Served{}, map[versioned]Served{}}
	}
	return groupIndex{maps.Clone(g.byResource), maps.Clone(g.byPlural), maps.Clone(g.byKind)}
}

// groups are the groups of k's versions, each once.
func (k *Kind) groups() []string {
	groups := []string{k.Group}
	for _, v := range k.Versions {
		if !slices.Contains(groups, v.Group) {
			groups = append(groups, v.Group)
		}
	}
	return groups
}

// add adds what k is in the group.
func (g groupIndex) add(group string, k *Kind) {
	g.byResource[k.Plural] = k
	for _, v := range k.Served() {
		if v.Group == group {
			g.byPlural[versioned{v.Version, k.Plural}] = Served{k, v}
			g.byKind[versioned{v.Version, v.Kind}] = Served{k, v}
		}
	}
}

// remove removes what k is in the group.
func (g groupIndex) remove(group string, k *Kind) {
	delete(g.byResource, k.Plural)
	for _, v := range k.Served() {
		if v.Group == group {
			delete(g.byPlural, versioned{v.Version, k.Plural})
			delete(g.byKind, versioned{v.Version, v.Kind})
		}
	}
}
