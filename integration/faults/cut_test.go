//go:build faults

package faults

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// longCut is longer than the time after which a node without heartbeats becomes NotReady.
const longCut = 60 * time.Second

// Case 5: the whole control plane is cut from etcd, while nodes are not: it acts on nothing in its outdated cache.
func TestCutFromEtcd(t *testing.T) {
	e := startEtcd(t, 1)
	p := startPlane(t, "p", e.urls())
	startNode(t, p, e, "n1")
	startNode(t, p, e, "n2")
	deploy(t, p, "web", 10)
	p.ok("POST", maps, configMap("there", "1"))
	settled(t, e)
	i, stop := p.follow(pods)
	defer stop()

	p.cut(e.members[0].machine)
	began := time.Now()
	before := e.revision()
	failsClosed(t, p)
	e.del("/registry/configmaps/default/there") // the plane must see it later
	<-time.After(time.Until(began.Add(longCut)))
	failsClosed(t, p)
	during := e.revision()
	p.heal()
	back := eventually(t, "the gateway serves again", seconds(30), func() (bool, string) {
		a, err := p.ask("GET", maps+"/there?timeout=2s", "", seconds(3))
		return err == nil && a.code == 404, fmt.Sprint(a, err)
	})
	t.Logf("served %s after the partition was healed", back.Round(time.Millisecond))
	eventually(t, "ready", seconds(30), func() (bool, string) {
		a, err := p.ask("GET", "/readyz", "", seconds(3))
		return err == nil && a.code == 200, fmt.Sprint(a, err)
	})
	<-time.After(seconds(20)) // time for wrong decisions
	if keys := e.written(before, during); len(keys) != 1 {
		t.Errorf("written while the plane was cut off: %v, want the test's deletion alone", keys)
	}
	untouched(t, e, before)
	p.ok("PATCH", deployments+"/web", `{"spec":{"replicas":12}}`, "Content-Type", "application/merge-patch+json")
	t.Logf("a scaling afterwards took %s", awaitPods(t, p, "web", 12).Round(time.Millisecond))
	i.check(t, e, "/registry/pods/default/")
}

// settled waits until the plane writes nothing more.
func settled(t *testing.T, e *etcd) {
	t.Helper()
	last, since := e.revision(), time.Now()
	eventually(t, "quiet", waitTimeout, func() (bool, string) {
		if keys := e.written(last, e.revision()); len(keys) > 0 {
			last, since = e.revision(), time.Now()
		}
		return time.Since(since) > seconds(2), fmt.Sprint(last)
	})
}

// Case 8: etcd is stopped for longer than a node's grace period, so that no heartbeat is renewed; then every member is defragmented
// under load.
func TestEtcdStopped(t *testing.T) {
	e := startEtcd(t, 1)
	p := startPlane(t, "p", e.urls())
	startNode(t, p, e, "n1")
	startNode(t, p, e, "n2")
	deploy(t, p, "web", 10)
	before := e.revision()
	e.members[0].signal(syscall.SIGSTOP)
	<-time.After(longCut)
	e.members[0].signal(syscall.SIGCONT)
	<-time.After(seconds(20)) // time for wrong decisions
	untouched(t, e, before)
	p.ok("PATCH", deployments+"/web", `{"spec":{"replicas":12}}`, "Content-Type", "application/merge-patch+json")
	t.Logf("a scaling afterwards took %s", awaitPods(t, p, "web", 12).Round(time.Millisecond))
}

// Case 8: every member is defragmented in turn, with much to move.
func TestDefragment(t *testing.T) {
	e := startEtcd(t, 3)
	p := startPlane(t, "p", e.urls())
	startNode(t, p, e, "n1")
	startNode(t, p, e, "n2")
	deploy(t, p, "web", 10)
	big := make([]byte, 1<<20)
	for n := range 300 {
		e.put(fmt.Sprintf("/ballast/%d", n%250), string(big))
	}
	l := startLoad(t, p, "counter")
	before := e.revision()
	for _, m := range e.members {
		c := e.dial(m.url())
		began := time.Now()
		if _, err := c.Defragment(e.ctx(), m.url()); err != nil {
			t.Errorf("defragmenting %s: %v", m.machine.name, err)
		}
		t.Logf("%s was blocked for %s", m.machine.name, time.Since(began).Round(time.Millisecond))
	}
	l.end(t)
	untouched(t, e, before)
	if len(l.failed) > 0 {
		t.Errorf("not served: %v; want only slow answers, as two of three members work", l.failed)
	}
}

// Case 7: the control plane is stopped while pods are deleted and history is compacted. It must see what it missed.
func TestCompactedWhileStopped(t *testing.T) {
	e := startEtcd(t, 1)
	p := startPlane(t, "p", e.urls())
	other := newPlane(t, "other", e.urls())
	other.share(p)
	other.run()
	other.connect()
	startNode(t, p, e, "n1")
	deploy(t, p, "web", 20)
	for n := range 50 {
		p.ok("POST", maps, configMap(fmt.Sprintf("m%d", n), "1"))
	}
	settled(t, e)
	informers := map[*plane]*informer{}
	for _, q := range []*plane{p, other} {
		i, stop := q.follow(maps)
		defer stop()
		informers[q] = i
	}
	p.signal(syscall.SIGSTOP)
	other.signal(syscall.SIGSTOP)
	e.flood("/registry/configmaps/default/m40")
	e.flood(string(e.get("/registry/pods/default/web", withPrefix()...).Kvs[5].Key))
	for _, kv := range e.get("/registry/pods/default/web", clientv3.WithPrefix(), clientv3.WithLimit(3)).Kvs {
		e.del(string(kv.Key))
	}
	for n := range 25 {
		e.del(fmt.Sprintf("/registry/configmaps/default/m%d", n))
	}
	again := e.value("/registry/configmaps/default/m30")
	e.del("/registry/configmaps/default/m30") // and back, as another revision of the same
	e.put("/registry/configmaps/default/m30", again)
	e.compact()
	e.members[0].restart(syscall.SIGKILL, nil) // what was on its way to them is lost; stopped clients would keep etcd from ending
	e.await()
	e.put("/registry/configmaps/default/m31", e.value("/registry/configmaps/default/m31"))
	<-time.After(seconds(5))
	p.signal(syscall.SIGCONT)
	other.signal(syscall.SIGCONT)
	t.Logf("the deleted pods were replaced within %s", awaitPods(t, p, "web", 20).Round(time.Millisecond))
	eventually(t, "no copies of deleted pods", seconds(30), func() (bool, string) {
		pods, copies := e.count("/registry/pods/default/"), e.count("/gantry/bynode/n1/pods/")
		return pods == copies, fmt.Sprintf("%d pods, %d copies", pods, copies)
	})
	for q, i := range informers {
		i.check(t, e, "/registry/configmaps/default/")
		i.mu.Lock()
		if len(i.relists) == 0 || len(i.errs) == 0 {
			t.Errorf("watchers of %s: errors %v, listed again %v; want an ERROR event of 410", q.machine.name, i.errs, i.relists)
		}
		i.mu.Unlock()
	}
	a := p.do("GET", maps+"?watch=1&resourceVersion=2&timeoutSeconds=5", "")
	t.Logf("a watch from before the compaction: %s", a)
	if s := a.body; a.code != 200 && a.code != 410 || !contains(s, `"code":410`, `"reason":"Expired"`, "too old resource version: 2") {
		t.Errorf("a watch from before the compaction: %s", a)
	}
}
