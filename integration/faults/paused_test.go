//go:build faults

package faults

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pausedFor is longer than every lease, grace period and timeout.
const pausedFor = 150 * time.Second

// Case 52: a virtual machine is paused and resumed: etcd and every process of Gantry are stopped, and continued at once. Clients on
// other machines and containers go on all the time.
func TestEverythingPaused(t *testing.T) {
	const replicas = 6
	e := startEtcd(t, 1)
	a := startPlane(t, "a", e.urls())
	leads(t, e, "a")
	b := newPlane(t, "b", e.urls())
	b.share(a)
	b.run()
	b.connect()
	image := buildImage(t)
	n := startNodeAgents(t, a, e)
	a.ok("POST", deployments, strings.Replace(deployment("web", replicas), `"image":"i"`, fmt.Sprintf(`"image":%q,"imagePullPolicy":"Never","args":["serve","8080"]`, image), 1))
	containers := running(t, a, n, "web", replicas)
	settled(t, e)
	i, stop := b.follow(maps)
	defer stop()
	l := startLoad(t, a, "counter")
	acknowledged := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.acked
	}
	eventually(t, "some writes", waitTimeout, func() (bool, string) { return acknowledged() > 20, fmt.Sprint(acknowledged()) })

	before, leadersBefore := e.revision(), e.leaderRevisions()
	all := []*process{a.process, b.process, n.process, e.members[0].process}
	for _, p := range all {
		p.signal(syscall.SIGSTOP)
	}
	written := acknowledged()
	<-time.After(pausedFor)
	for _, p := range all {
		p.signal(syscall.SIGCONT)
	}
	woken := time.Now()
	back := eventually(t, "clients write", waitTimeout, func() (bool, string) {
		return acknowledged() > written+20, fmt.Sprintf("%d, before the pause %d", acknowledged(), written)
	})
	eventually(t, "both elections are won anew", waitTimeout, func() (bool, string) {
		now := e.leaderRevisions()
		return now["controllers"] > leadersBefore["controllers"] && now["scheduler"] > leadersBefore["scheduler"], fmt.Sprintf("%v, before the pause %v", now, leadersBefore)
	})
	led := time.Since(woken)
	<-time.After(seconds(20)) // time for wrong decisions
	untouched(t, e, before)
	sameContainers(t, n, containers)
	if now := containersOf(t, n); len(now) != len(containers) {
		t.Errorf("%d containers run, before the pause %d", len(now), len(containers))
	}
	l.mu.Lock()
	l.hung = nil // no answer is possible while everything is stopped
	l.mu.Unlock()
	l.end(t)
	i.check(t, e, "/registry/configmaps/default/")
	a.ok("PATCH", deployments+"/web", fmt.Sprintf(`{"spec":{"replicas":%d}}`, replicas+2), "Content-Type", "application/merge-patch+json")
	began := time.Now()
	running(t, a, n, "web", replicas+2)
	t.Logf("after %s clients wrote again within %s, leaders were lost and won within %s; a scaling took %s",
		pausedFor, back.Round(time.Millisecond), led.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
}

// leaderRevisions returns the create revisions of the leaders' keys, by election; 0: there is no leader.
func (e *etcd) leaderRevisions() map[string]int64 {
	e.t.Helper()
	all := map[string]int64{}
	for _, election := range []string{"controllers", "scheduler"} {
		for _, kv := range e.get("/gantry/election/"+election+"/", withPrefix()...).Kvs {
			if all[election] == 0 || kv.CreateRevision < all[election] {
				all[election] = kv.CreateRevision
			}
		}
	}
	return all
}
