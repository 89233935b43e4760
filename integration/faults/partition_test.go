//go:build faults

package faults

import (
	"fmt"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// limit is the timeout of requests in these tests; slack is how much later an answer may come.
const (
	limit = 4 * time.Second
	slack = 1500 * time.Millisecond
)

// load writes and reads one object through a gateway during a fault.
type load struct {
	register
	p    *plane
	stop chan struct{}
	wg   sync.WaitGroup

	mu       sync.Mutex // guards what follows
	failed   map[string]int
	hung     []string
	stale    []string
	noRetry  []string
	lastGood time.Time     // of the last successful write
	gap      time.Duration // the longest time between two successful writes
	reads    int
}

func startLoad(t *testing.T, p *plane, name string) *load {
	l := &load{register: register{name: name}, p: p, stop: make(chan struct{}), failed: map[string]int{}, lastGood: time.Now()}
	l.rv = parse[object](t, p.ok("POST", maps, configMap(name, "0")).body).Metadata.ResourceVersion
	l.wg.Go(l.write)
	for range 4 {
		l.wg.Go(l.read)
	}
	return l
}

func (l *load) stopped() bool {
	select {
	case <-l.stop:
		return true
	case <-time.After(5 * time.Millisecond): // pace
		return false
	}
}

// note checks that a request ended within its time, and an error with Retry-After.
func (l *load) note(what string, a answer, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a.took > limit+slack {
		l.hung = append(l.hung, fmt.Sprintf("%s took %s: %v", what, a.took, err))
	}
	switch {
	case err != nil:
		l.failed[what+" no answer"]++
	case a.code >= 300:
		l.failed[fmt.Sprintf("%s %d", what, a.code)]++
		if s := a.status(); a.code != 503 && a.code != 504 || s.Message == "" || a.code == 503 && a.header.Get("Retry-After") == "" {
			l.noRetry = append(l.noRetry, fmt.Sprintf("%s: %s, Retry-After %q", what, a, a.header.Get("Retry-After")))
		}
	}
}

// write increments the number. After an unknown outcome it reads the object, as a client would.
func (l *load) write() {
	unknown := false
	for !l.stopped() {
		n := l.acked + 1
		body := fmt.Sprintf(`{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":%q,"resourceVersion":%q},"data":{"n":"%d"}}`, l.name, l.rv, n)
		a, err := l.p.ask("PUT", maps+"/"+l.name+"?timeout=4s", body, limit+2*slack)
		if !unknown || a.code != 409 { // the write without an answer may have succeeded since
			l.note("write", a, err)
		}
		if unknown = err != nil || a.code != 200; err != nil || a.code != 200 {
			l.catchUp(n)
			continue
		}
		l.good(n, a.body)
	}
}

func (l *load) good(n int, body string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked, l.rv = n, rvOf(body)
	l.gap = max(l.gap, time.Since(l.lastGood))
	l.lastGood = time.Now()
}

// catchUp reads until a read succeeds.
func (l *load) catchUp(tried int) {
	for !l.stopped() {
		a, err := l.p.ask("GET", maps+"/"+l.name+"?timeout=4s", "", limit+2*slack)
		l.note("read", a, err)
		if err != nil || a.code != 200 {
			continue
		}
		l.mu.Lock()
		if n := countOf(a.body); n != l.acked && n != tried {
			l.stale = append(l.stale, fmt.Sprintf("after %d acknowledged and %d tried, a read gave %d", l.acked, tried, n))
		} else {
			l.acked, l.rv = n, rvOf(a.body)
		}
		l.mu.Unlock()
		return
	}
}

// read reads with resourceVersion unset: never older than what was acknowledged before it began.
func (l *load) read() {
	for !l.stopped() {
		l.mu.Lock()
		least := l.acked
		l.mu.Unlock()
		a, err := l.p.ask("GET", maps+"/"+l.name+"?timeout=4s", "", limit+2*slack)
		l.note("read", a, err)
		if err != nil || a.code != 200 {
			continue
		}
		l.mu.Lock()
		l.reads++
		if n := countOf(a.body); n < least {
			l.stale = append(l.stale, fmt.Sprintf("%d was acknowledged before a read that gave %d", least, n))
		}
		l.mu.Unlock()
	}
}

// end stops the load and reports.
func (l *load) end(t *testing.T) {
	t.Helper()
	close(l.stop)
	l.wg.Wait()
	t.Logf("%s: %d writes, %d reads, not served %v, longest without a write %s", l.p.name, l.acked, l.reads, l.failed, l.gap.Round(time.Millisecond))
	for what, all := range map[string][]string{"hung": l.hung, "stale": l.stale, "without Retry-After": l.noRetry} {
		if len(all) > 0 {
			t.Errorf("%s, %d times, at first: %s", what, len(all), all[0])
		}
	}
	if a := l.p.do("GET", maps+"/"+l.name, ""); a.code != 200 || countOf(a.body) != l.acked {
		t.Errorf("%s holds %s, acknowledged was %d", l.name, a, l.acked)
	}
}

func rvOf(body string) string { return asObject(body).Metadata.ResourceVersion }

func countOf(body string) int {
	n, err := strconv.Atoi(asObject(body).Data["n"])
	if err != nil {
		return -1
	}
	return n
}

// Case 3: etcd's leader is stopped for 5 s and continued.
func TestLeaderStopped(t *testing.T) {
	e := startEtcd(t, 3)
	p := startPlane(t, "p", e.urls())
	i, stop := p.follow(maps)
	defer stop()
	l := startLoad(t, p, "counter")
	for range 2 {
		leader, _ := e.leader()
		<-time.After(seconds(2)) // under load
		leader.signal(syscall.SIGSTOP)
		<-time.After(seconds(5))
		leader.signal(syscall.SIGCONT)
		<-time.After(seconds(5))
	}
	l.end(t)
	if l.gap > seconds(10) {
		t.Errorf("no write for %s", l.gap)
	}
	i.check(t, e, "/registry/configmaps/default/")
}

// Case 4: etcd's leader is cut off from the followers, with a gateway that is connected only to it.
func TestLeaderPartitioned(t *testing.T) {
	e := startEtcd(t, 3)
	leader, followers := e.leader()
	minority := startPlane(t, "minority", []string{leader.url()})
	majority := startPlane(t, "majority", e.urls())
	i, stop := majority.follow(maps)
	defer stop()
	minority.ok("POST", maps, configMap("there", "1"))
	minority.ok("GET", maps, "")
	l := startLoad(t, majority, "counter")

	leader.cut(followers[0].machine, followers[1].machine, majority.machine)
	began := time.Now()
	took := eventually(t, "a write on the majority's side", seconds(30), func() (bool, string) {
		a, err := majority.ask("POST", maps+"?timeout=2s", configMap("after", "1"), seconds(3))
		return err == nil && (a.code == 201 || a.code == 409), fmt.Sprint(a, err)
	})
	t.Logf("the majority wrote %s after the cut", took.Round(time.Millisecond))
	if took > seconds(3) {
		t.Errorf("the majority wrote after %s, want 3 s", took)
	}
	failsClosed(t, minority)
	<-time.After(time.Until(began.Add(seconds(12))))
	failsClosed(t, minority)
	leader.heal()
	back := eventually(t, "the minority's gateway serves", seconds(30), func() (bool, string) {
		a, err := minority.ask("GET", maps+"/after?timeout=2s", "", seconds(3))
		return err == nil && a.code == 200, fmt.Sprint(a, err)
	})
	t.Logf("the minority's gateway served the majority's write %s after the partition was healed", back.Round(time.Millisecond))
	l.end(t)
	i.check(t, e, "/registry/configmaps/default/")
}

// failsClosed: a gateway whose etcd does not answer, or has no quorum, serves its cache to reads with
// resourceVersion=0, and fails every other request in time.
func failsClosed(t *testing.T, p *plane) {
	t.Helper()
	for _, tt := range []struct{ name, method, path, body string }{
		{"get", "GET", maps + "/there?timeout=4s", ""},
		{"list", "GET", maps + "?timeout=4s", ""},
		{"create", "POST", maps + "?timeout=4s", configMap("lost", "1")},
		{"delete", "DELETE", maps + "/there?timeout=4s&dryRun=All", ""},
	} {
		a, err := p.ask(tt.method, tt.path, tt.body, limit+2*slack)
		if err != nil || a.code != 503 && a.code != 504 || a.took > limit+slack {
			t.Errorf("%s of %s without etcd: %v, %v; want 503 or 504 within %s", tt.name, p.name, a, err, limit)
		} else {
			t.Logf("%s without etcd: %s", tt.name, a)
		}
	}
	if a, err := p.ask("GET", maps+"?resourceVersion=0", "", seconds(1)); err != nil || a.code != 200 {
		t.Errorf("a read at resourceVersion 0 of %s without etcd: %v, %v", p.name, a, err)
	}
	if a, err := p.ask("GET", "/readyz", "", seconds(10)); err != nil || a.code != 500 {
		t.Errorf("/readyz of %s without etcd: %v, %v", p.name, a, err)
	}
	if a, err := p.ask("GET", "/livez", "", seconds(1)); err != nil || a.code != 200 {
		t.Errorf("/livez of %s without etcd: %v, %v", p.name, a, err)
	}
}

// flaps is how often the link of TestFlappingLink goes down.
const flaps = 8

// Case 6: a follower receives no packets while the others receive its own, then its link goes down and up every second, then the
// leader receives no packets: writes go on, no object is created twice, and no leader changes with every flap.
func TestFlappingLink(t *testing.T) {
	e := startEtcd(t, 3)
	p := startPlane(t, "p", e.urls())
	startNode(t, p, e, "n1")
	l := startLoad(t, p, "counter")
	i, stop := p.follow(pods)
	defer stop()
	before := e.revision()
	raftTerm := raftTermOf(t, e)
	deploy(t, p, "web", 20)
	_, followers := e.leader()
	follower := followers[0]
	for _, m := range e.members {
		if m != follower {
			follower.dropIncoming(m.machine)
		}
	}
	<-time.After(seconds(8))
	p.ok("PATCH", deployments+"/web", `{"spec":{"replicas":30}}`, "Content-Type", "application/merge-patch+json")
	follower.heal()
	for range flaps {
		for _, m := range e.members {
			if m != follower {
				follower.cut(m.machine)
			}
		}
		<-time.After(seconds(1))
		follower.heal()
		<-time.After(seconds(1))
	}
	leader, others := e.leader()
	old := memberID(t, e, leader)
	leader.dropIncoming(others[0].machine, others[1].machine)
	began := time.Now()
	// This may take etcd a while: TCP connections that retransmit after the flaps delay its votes.
	eventually(t, "another leads", seconds(60), func() (bool, string) {
		s, err := e.Status(e.ctx(), others[0].url())
		return err == nil && s.Leader != 0 && s.Leader != old, fmt.Sprint(s, err)
	})
	led := time.Since(began)
	wrote := eventually(t, "a write while the old leader receives nothing", seconds(30), func() (bool, string) {
		a, err := p.ask("POST", maps+"?timeout=2s", configMap("late", "1"), seconds(3))
		return err == nil && (a.code == 201 || a.code == 409), fmt.Sprint(a, err)
	})
	t.Logf("another led %s after the leader stopped receiving, a write succeeded %s later", led.Round(time.Millisecond), wrote.Round(time.Millisecond))
	<-time.After(seconds(3))
	leader.heal()
	awaitPods(t, p, "web", 30)
	l.end(t)
	made := map[string]bool{}
	for _, c := range e.history("/registry/pods/default/", before) {
		made[c.name] = true
	}
	if len(made) != 30 {
		t.Errorf("%d pods were made for 30", len(made))
	}
	won := 0
	for _, c := range e.history("/gantry/election/controllers/", before) {
		if !c.gone {
			won++
		}
	}
	changes := raftTermOf(t, e) - raftTerm
	t.Logf("%d changes of etcd's leader, %d of the controllers'", changes, won)
	if changes >= flaps || won >= flaps {
		t.Errorf("the leader changes with every flap: etcd's %d times, the controllers' %d times", changes, won)
	}
	i.check(t, e, "/registry/pods/default/")
}

func raftTermOf(t *testing.T, e *etcd) uint64 {
	t.Helper()
	s, err := e.Status(e.ctx(), e.members[0].url())
	must(t, err)
	return s.RaftTerm
}

func memberID(t *testing.T, e *etcd, m *member) uint64 {
	t.Helper()
	s, err := e.Status(e.ctx(), m.url())
	must(t, err)
	return s.Header.MemberId
}
