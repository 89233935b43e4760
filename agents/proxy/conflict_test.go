package proxy

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
)

// Changes one after the other lead to what the last objects lead to, and what is not reported as changed is not changed.
func TestClaimsFollowChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, all := newClaims(), map[string]*compiledObject{}
		for range rapid.IntRange(1, 12).Draw(t, "changes") {
			names := map[string]bool{}
			for range rapid.IntRange(1, 3).Draw(t, "objects") {
				name := fmt.Sprint("default/", rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "name"))
				names[name] = true
				if rapid.IntRange(0, 3).Draw(t, "gone") == 0 {
					delete(all, name)
					continue
				}
				all[name] = drawObject(t, name)
			}
			before := maps.Clone(c.won)
			changed := c.update(all, names)
			fresh := newClaims()
			fresh.update(all, nil)
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

// An address or port that a service does not get takes nothing else from it.
func TestConflictTakesOneKey(t *testing.T) {
	c, all := newClaims(), map[string]*compiledObject{}
	set := func(svc *corev1.Service) {
		o := &compiledObject{obj: svc}
		for _, n := range []*nodeInfo{testNode, testNode6} {
			o.frontends = append(o.frontends, compileService(svc, nil, n)...)
		}
		all[name(svc)] = o
	}
	younger := func(s *corev1.Service) *corev1.Service { s.CreationTimestamp = metav1.Unix(2000, 0); return s }
	set(dual(service("old", "10.96.0.12", port("", 80, 30080)), "10.96.0.12", "fd00:10:96::c"))
	set(balanced(service("shared", "10.96.0.13", port("", 443, 0)), "198.51.100.7"))
	young := younger(dual(balanced(service("young", "10.96.0.14", port("a", 443, 30080), port("b", 81, 30081)), "198.51.100.7"), "10.96.0.14", "fd00:10:96::c"))
	young.Status.LoadBalancer.Ingress = append(young.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: "2001:db8:7::7"})
	set(young)
	c.update(all, nil)
	var won, lost []string
	for k, f := range c.won {
		if f.owner == "default/young" {
			won = append(won, k.String())
		}
	}
	for _, x := range c.conflicts() {
		if x.loser != "default/young" {
			t.Errorf("%s loses %s", x.loser, x.key)
		}
		lost = append(lost, x.key.String())
	}
	slices.Sort(won)
	slices.Sort(lost)
	if diff := cmp.Diff([]string{"10.96.0.14:443/tcp", "10.96.0.14:81/tcp", "192.0.2.10:30081/tcp", "198.51.100.7:81/tcp", "[2001:db8:7::7]:443/tcp", "[2001:db8:7::7]:81/tcp", "[2001:db8::10]:30081/tcp"}, won); diff != "" {
		t.Errorf("won:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"192.0.2.10:30080/tcp", "198.51.100.7:443/tcp", "[2001:db8::10]:30080/tcp", "[fd00:10:96::c]:443/tcp", "[fd00:10:96::c]:81/tcp"}, lost); diff != "" {
		t.Errorf("lost:\n%s", diff)
	}
}
