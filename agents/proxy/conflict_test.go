package proxy

import (
	"fmt"
	"maps"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Changes one after the other lead to what the last objects lead to, and what is not reported as changed is not changed.
func TestClaimsFollowChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, all := newClaims(), map[string]*compiledObject{}
		for range rapid.IntRange(1, 12).Draw(t, "changes") {
			for range rapid.IntRange(1, 3).Draw(t, "objects") {
				name := fmt.Sprint("default/", rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "name"))
				if rapid.IntRange(0, 3).Draw(t, "gone") == 0 {
					delete(all, name)
					continue
				}
				all[name] = drawObject(t, name)
			}
			before := maps.Clone(c.won)
			changed := c.update(all)
			fresh := newClaims()
			fresh.update(all)
			if !maps.Equal(fresh.won, c.won) {
				t.Fatalf("won %v, want %v", c.won, fresh.won)
			}
			if diff := cmp.Diff(fmt.Sprint(fresh.conflicts()), fmt.Sprint(c.conflicts())); diff != "" {
				t.Fatal(diff)
			}
			if len(c.wanted) != len(fresh.wanted) || len(c.keys) != len(fresh.keys) || len(c.owners) != len(fresh.owners) {
				t.Fatalf("%d keys, %d addresses, %d cluster IPs are kept, want %d, %d, %d",
					len(c.wanted), len(c.keys), len(c.owners), len(fresh.wanted), len(fresh.keys), len(fresh.owners))
			}
			for _, maps := range []map[key]*frontend{before, c.won} {
				for k := range maps {
					if before[k] != c.won[k] && !changed[k] {
						t.Fatalf("%s changed unnoticed", k)
					}
				}
			}
		}
	})
}

// drawObject is a service with a few of few keys.
func drawObject(t *rapid.T, name string) *compiledObject {
	svc := service(name[len("default/"):], "10.96.0.1")
	svc.CreationTimestamp.Time = svc.CreationTimestamp.AddDate(0, 0, rapid.IntRange(0, 2).Draw(t, "age"))
	o := &compiledObject{obj: svc}
	for range rapid.IntRange(0, 3).Draw(t, "frontends") {
		a := netip.AddrFrom4([4]byte{10, 96, 0, byte(rapid.IntRange(1, 2).Draw(t, "address"))})
		k := key{a, 6, uint16(rapid.IntRange(80, 81).Draw(t, "port"))}
		o.frontends = append(o.frontends, &frontend{key: k, owner: name, cluster: rapid.Bool().Draw(t, "cluster")})
	}
	if rapid.Bool().Draw(t, "rejected") {
		o.rejected = []conflict{{loser: name, reason: "invalid"}}
	}
	return o
}
