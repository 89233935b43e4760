package storage

import (
	"maps"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// bindingIndex is what the watches know of claims and volumes, to turn changes into keys.
type bindingIndex struct {
	mu      sync.Mutex                 // guards all below
	unbound map[string]bool            // keys of claims that are not bound
	claims  map[string]string          // by volume: the claim that it names
	volumes map[string]map[string]bool // by claim: the volumes that name it
}

func newBindingIndex() *bindingIndex {
	return &bindingIndex{unbound: map[string]bool{}, claims: map[string]string{}, volumes: map[string]map[string]bool{}}
}

// claimKey is the key of the claim that a volume names; "": none.
func claimKey(ref *corev1.ObjectReference) string {
	if ref == nil {
		return ""
	}
	return ref.Namespace + "/" + ref.Name
}

func (i *bindingIndex) setClaim(key string, unbound bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if unbound {
		i.unbound[key] = true
	} else {
		delete(i.unbound, key)
	}
}

func (i *bindingIndex) setVolume(name, claim string, exists bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if old := i.claims[name]; old != "" {
		if delete(i.volumes[old], name); len(i.volumes[old]) == 0 {
			delete(i.volumes, old)
		}
	}
	delete(i.claims, name)
	if exists && claim != "" {
		i.claims[name] = claim
		if i.volumes[claim] == nil {
			i.volumes[claim] = map[string]bool{}
		}
		i.volumes[claim][name] = true
	}
}

func (i *bindingIndex) volumesOf(claim string) []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Sorted(maps.Keys(i.volumes[claim]))
}

func (i *bindingIndex) unboundClaims() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Sorted(maps.Keys(i.unbound))
}

func (i *bindingIndex) isUnbound(key string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.unbound[key]
}
