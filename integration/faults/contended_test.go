//go:build faults

package faults

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Case 34: 100 clients increment one number through two gateways.
func TestHundredClients(t *testing.T) {
	e := startEtcd(t, 1)
	a := startPlane(t, "a", e.urls())
	b := newPlane(t, "b", e.urls(), "--agents", "gateway")
	b.share(a)
	b.run()
	b.connect()
	const clients, each = 100, 5
	a.ok("POST", maps, configMap("sum", "0"))
	raw := rawRate(t, e, clients, each)
	var conflicts, other atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for c := range clients {
		p := []*plane{a, b}[c%2]
		wg.Go(func() {
			for won := 0; won < each; {
				cur := p.do("GET", maps+"/sum", "")
				body := fmt.Sprintf(`{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"sum","resourceVersion":%q},"data":{"n":"%d"}}`, rvOf(cur.body), countOf(cur.body)+1)
				switch r := p.do("PUT", maps+"/sum", body); r.code {
				case 200:
					won++
				case 409:
					conflicts.Add(1)
					<-time.After(10*time.Millisecond + rand.N(10*time.Millisecond)) // as client-go does
				default:
					other.Add(1)
					t.Errorf("PUT: %s", r)
					return
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	if n := countOf(a.do("GET", maps+"/sum", "").body); n != clients*each {
		t.Errorf("the sum is %d, want %d", n, clients*each)
	}
	rate := float64(clients*each) / took.Seconds()
	t.Logf("%d increments in %s (%.0f/s), %d conflicts; the same by etcd's own client %.0f/s: %.0f %%", clients*each, took.Round(time.Millisecond), rate, conflicts.Load(), raw, 100*rate/raw)
}

// rawRate is how many increments a second as many clients make of one number in etcd, by the same get and compare-and-put.
func rawRate(t *testing.T, e *etcd, clients, each int) float64 {
	t.Helper()
	e.put("/raw", "0")
	began := time.Now()
	var wg sync.WaitGroup
	for range clients {
		c := e.dial(e.urls()...)
		wg.Go(func() {
			for won := 0; won < each; {
				cur, err := c.Get(t.Context(), "/raw")
				if err != nil {
					t.Error(err)
					return
				}
				res, err := c.Txn(t.Context()).If(clientv3.Compare(clientv3.ModRevision("/raw"), "=", cur.Kvs[0].ModRevision)).Then(clientv3.OpPut("/raw", strings.Repeat("x", 300))).Commit()
				if err != nil {
					t.Error(err)
					return
				}
				if res.Succeeded {
					won++
					continue
				}
				<-time.After(10*time.Millisecond + rand.N(10*time.Millisecond)) // as client-go does
			}
		})
	}
	wg.Wait()
	return float64(clients*each) / time.Since(began).Seconds()
}

// Case 35: many create, bind and delete under one name: no client changes the pod of another.
func TestSameNameByMany(t *testing.T) {
	e := startEtcd(t, 1)
	p := startPlane(t, "p", e.urls(), "--agents", "gateway,controllers")
	<-time.After(seconds(2)) // service accounts
	pod := `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"one"},"spec":{"terminationGracePeriodSeconds":0,"containers":[{"name":"c","image":"i"}]}}`
	var wg sync.WaitGroup
	var made, deleted, refused atomic.Int64
	for range 16 {
		wg.Go(func() {
			var stale []string // uids of pods that this client has deleted
			for range 100 {
				a := p.do("POST", pods, pod)
				if a.code != 201 && a.code != 409 {
					t.Errorf("create: %s", a)
				}
				if a.code != 201 {
					continue
				}
				made.Add(1)
				uid := string(asObject(a.body).Metadata.UID)
				if len(stale) > 0 {
					old := stale[rand.N(len(stale))]
					for _, r := range []answer{
						p.do("DELETE", pods+"/one", fmt.Sprintf(`{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":%q}}`, old)),
						p.do("POST", pods+"/one/binding", fmt.Sprintf(`{"kind":"Binding","apiVersion":"v1","metadata":{"name":"one","uid":%q},"target":{"name":"n1"}}`, old)),
						p.do("PUT", pods+"/one/status", fmt.Sprintf(`{"kind":"Pod","apiVersion":"v1","metadata":{"name":"one","uid":%q},"status":{"phase":"Failed"}}`, old)),
					} {
						if r.code != 409 {
							t.Errorf("with the uid of a pod that is gone: %s", r)
						}
						refused.Add(1)
					}
				}
				d := p.do("DELETE", pods+"/one", fmt.Sprintf(`{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":%q}}`, uid))
				if d.code != 200 {
					t.Errorf("deleting with the current uid: %s", d)
				}
				deleted.Add(1)
				stale = append(stale, uid)
			}
		})
	}
	wg.Wait()
	t.Logf("%d made, %d deleted, %d refused for their uid", made.Load(), deleted.Load(), refused.Load())
	if n := e.count("/registry/pods/default/"); n != 0 {
		t.Errorf("%d pods are left", n)
	}
}
