//go:build faults

package faults

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Case 48: a leader is stopped while it works, for longer than its lease. Another leads and the spec is changed back;
// no later write of the first may succeed.
func TestDeposedLeaderWritesNothing(t *testing.T) {
	e := startEtcd(t, 1)
	a := startPlane(t, "a", e.urls())
	leads(t, e, "a")
	b := newPlane(t, "b", e.urls())
	b.share(a)
	b.run()
	b.connect()
	startNode(t, b, e, "n1")
	for round := range rounds(t, 3) {
		name := fmt.Sprintf("web%d", round)
		first, second := a, b
		if round%2 == 1 {
			first, second = b, a
		}
		leads(t, e, first.machine.name)
		second.ok("POST", deployments, deployment(name, 600))
		eventually(t, "a part of the pods", seconds(20), func() (bool, string) {
			n := e.count("/registry/pods/default/" + name)
			return n > 50, fmt.Sprint(n)
		})
		first.signal(syscall.SIGSTOP)
		made := e.count("/registry/pods/default/" + name)
		stopped := time.Now()
		leads(t, e, second.machine.name)
		second.ok("PATCH", deployments+"/"+name, `{"spec":{"replicas":0}}`, "Content-Type", "application/merge-patch+json")
		awaitPods(t, second, name, 0)
		<-time.After(time.Until(stopped.Add(seconds(8))))
		settled(t, e)
		woken := e.revision()
		first.signal(syscall.SIGCONT)
		<-time.After(seconds(8)) // time for wrong writes
		for _, key := range e.written(woken, e.revision()) {
			if strings.HasSuffix(key, "/default/kubernetes") {
				continue // the continued gateway publishes its address: that needs no leader
			}
			t.Errorf("written by a deposed leader after it was continued: %s", key)
		}
		t.Logf("round %d: stopped %s with %d of 600 pods made, another led and deleted all, nothing was written after it was continued; it logged %d times that it is not the leader",
			round, first.machine.name, made, strings.Count(tail(first.log, 1<<20), "no longer the leader"))
		leads(t, e, second.machine.name)
	}
}

// leads waits until a plane has won the controllers' election.
func leads(t *testing.T, e *etcd, name string) {
	t.Helper()
	for _, election := range []string{"controllers", "scheduler"} {
		eventually(t, name+" leads the "+election, seconds(20), func() (bool, string) {
			var holder string
			var oldest int64
			for _, kv := range e.get("/gantry/election/"+election+"/", withPrefix()...).Kvs {
				if oldest == 0 || kv.CreateRevision < oldest {
					oldest, holder = kv.CreateRevision, string(kv.Value)
				}
			}
			return strings.Contains(holder, `"`+name+"_"), holder
		})
	}
}
