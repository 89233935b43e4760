// Package records holds the records of the cluster's zone and compiles Services and their endpoints to them, as Kubernetes' DNS
// specification 1.1.0 says (github.com/kubernetes/dns/blob/master/docs/specification.md). It does no I/O.
package records

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"gantry/agents/dns/wire"
)

// specification is the version that dns-version.<zone> tells.
const specification = "1.1.0"

// Names are sets of records by the name that has them.
type Names map[string][]wire.Set

// Zone is the cluster's zone, with the reverse names of its addresses. Safe for concurrent use.
type Zone struct {
	// Apex is the zone's name, Labels how many it has.
	Apex   string
	Labels int

	mu     sync.RWMutex // guards the rest
	names  map[string]*node
	owners map[string]Names // what each owner has set
	serial uint32           // counts the changes
}

// node is a name.
type node struct {
	// children counts the names with records below: a name with only those exists, without records (RFC 8020).
	children int
	parts    []part
	sets     []wire.Set // of all parts; replaced, never changed
}

// part is what one owner has set.
type part struct {
	owner string
	sets  []wire.Set
}

// NewZone returns the zone of a domain with the records that are not a Service's; server is the address of the name server.
func NewZone(domain string, server netip.Addr) (*Zone, error) {
	apex, err := wire.Name(domain)
	if err != nil {
		return nil, fmt.Errorf("domain %q: %w", domain, err)
	}
	if apex == "\x00" {
		return nil, fmt.Errorf("domain %q: it has no labels", domain)
	}
	z := &Zone{Apex: apex, Labels: strings.Count(strings.TrimSuffix(domain, "."), ".") + 1, names: map[string]*node{}, owners: map[string]Names{}}
	own := Names{}
	version := wire.Set{Type: wire.TypeTXT}
	version.Add(append([]byte{byte(len(specification))}, specification...))
	ns := wire.Set{Type: wire.TypeNS}
	nsName, err := wire.Join([]string{"ns", "dns"}, apex)
	if err != nil {
		return nil, fmt.Errorf("domain %q: %w", domain, err)
	}
	ns.Add([]byte(nsName))
	address := wire.Set{Type: wire.AddressType(server)}
	address.AddAddress(server)
	ns.AddExtra(nsName, server)
	own[nsName] = []wire.Set{address}
	own[apex] = []wire.Set{ns}
	versionName, err := wire.Join([]string{"dns-version"}, apex)
	if err != nil {
		return nil, fmt.Errorf("domain %q: %w", domain, err)
	}
	own[versionName] = []wire.Set{version}
	z.Set("", own)
	return z, nil
}

// Find returns the records of a name, lower-cased. exists is false where there is no such name. The result is read-only.
func (z *Zone) Find(name []byte) (sets []wire.Set, exists bool) {
	z.mu.RLock()
	defer z.mu.RUnlock()
	if n := z.names[string(name)]; n != nil {
		return n.sets, true
	}
	return nil, false
}

// Serial is the zone's, for SOA records.
func (z *Zone) Serial() uint32 {
	z.mu.RLock()
	defer z.mu.RUnlock()
	return z.serial
}

// Len is the number of names that have records.
func (z *Zone) Len() (n int) {
	z.mu.RLock()
	defer z.mu.RUnlock()
	for _, node := range z.names {
		if len(node.parts) > 0 {
			n++
		}
	}
	return n
}

// Set replaces all that owner has set by names, in one step; empty: it has nothing any more. It keeps names. changed tells whether
// anything differs.
func (z *Zone) Set(owner string, names Names) (changed bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	before := z.owners[owner]
	for name := range before {
		if _, stays := names[name]; !stays {
			z.remove(name, owner)
			changed = true
		}
	}
	for name, sets := range names {
		if old, ok := before[name]; !ok || !slices.EqualFunc(old, sets, equal) {
			z.put(name, part{owner, sets})
			changed = true
		}
	}
	if len(names) == 0 {
		delete(z.owners, owner)
	} else {
		z.owners[owner] = names
	}
	if changed {
		z.serial++
	}
	return changed
}

func equal(a, b wire.Set) bool {
	return a.Type == b.Type && string(a.Wire) == string(b.Wire) && string(a.Extra) == string(b.Extra)
}

func (z *Zone) put(name string, p part) {
	n := z.names[name]
	if n == nil {
		n = &node{}
		z.names[name] = n
	}
	if len(n.parts) == 0 {
		z.countChild(name, 1)
	}
	if i := n.index(p.owner); i >= 0 {
		n.parts[i] = p
	} else {
		n.parts = append(n.parts, p)
	}
	n.merge()
}

func (z *Zone) remove(name, owner string) {
	n := z.names[name]
	n.parts = slices.Delete(n.parts, n.index(owner), n.index(owner)+1)
	n.merge()
	if len(n.parts) > 0 {
		return
	}
	if n.children == 0 {
		delete(z.names, name)
	}
	z.countChild(name, -1)
}

// countChild adds d to the count of every name above name within the zone, and makes or deletes those.
func (z *Zone) countChild(name string, d int) {
	if !strings.HasSuffix(name, z.Apex) {
		return // a reverse name: the zones above are others'
	}
	for len(name) > len(z.Apex) {
		name = name[1+name[0]:]
		n := z.names[name]
		if n == nil {
			n = &node{}
			z.names[name] = n
		}
		n.children += d
		if n.children == 0 && len(n.parts) == 0 {
			delete(z.names, name)
		}
	}
}

func (n *node) index(owner string) int {
	return slices.IndexFunc(n.parts, func(p part) bool { return p.owner == owner })
}

// merge makes sets from parts: one for each type.
func (n *node) merge() {
	if len(n.parts) <= 1 {
		n.sets = nil
		if len(n.parts) == 1 {
			n.sets = n.parts[0].sets
		}
		return
	}
	var all []wire.Set
	for _, p := range n.parts {
		for _, s := range p.sets {
			i := slices.IndexFunc(all, func(have wire.Set) bool { return have.Type == s.Type })
			if i < 0 {
				i = len(all)
				all = append(all, wire.Set{Type: s.Type})
			}
			all[i].AddSet(&s)
		}
	}
	n.sets = all
}
