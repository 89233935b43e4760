//go:build faults

package faults

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Case 9: etcd's quota is used up.
func TestQuotaUsedUp(t *testing.T) {
	e := startEtcd(t, 1, "--quota-backend-bytes", fmt.Sprint(32<<20))
	p := startPlane(t, "p", e.urls())
	startNode(t, p, e, "n1")
	deploy(t, p, "web", 5)
	settled(t, e)
	big := strings.Repeat("x", 500<<10)
	var full answer
	n := 0
	for ; n < 200; n++ {
		if full = p.do("POST", maps, configMap(fmt.Sprintf("big%d", n), big)); full.code != 201 {
			break
		}
	}
	t.Logf("after %d objects: %s, Retry-After %q", n, full, full.header.Get("Retry-After"))
	if s := full.status(); full.code != 503 && full.code != 507 || !contains(s.Message, "no space", "quota") {
		t.Errorf("the answer to a write: %s; want 503 with the reason", full)
	}
	if a := p.do("GET", maps+"/"+fmt.Sprintf("big%d", n), ""); a.code != 404 {
		t.Errorf("an object whose creation failed: %s", a)
	}
	if a := p.do("GET", maps+"?limit=1", ""); a.code != 200 {
		t.Errorf("a list: %s", a)
	}
	if a := p.do("PUT", maps+"/big0", configMap("big0", big+"y")); a.code != 503 && a.code != 507 {
		t.Errorf("an update: %s", a)
	}
	if a := p.do("GET", "/readyz?verbose", ""); !strings.Contains(a.body, "space") {
		t.Logf("/readyz does not show it: %s", a)
	} else {
		t.Logf("/readyz: %s", a)
	}
	for n := range 10 {
		if a := p.do("DELETE", maps+fmt.Sprintf("/big%d", n), ""); a.code != 200 {
			t.Errorf("a deletion: %s", a)
		}
	}
	// What belongs to something deleted is collected: that only deletes.
	if a := p.do("DELETE", deployments+"/web", ""); a.code != 200 {
		t.Errorf("deleting a Deployment: %s", a)
	}
	took := eventually(t, "the garbage is collected", seconds(40), func() (bool, string) {
		rs, pods := e.count("/registry/replicasets/default/"), e.count("/registry/pods/default/")
		return rs == 0 && pods == 0, fmt.Sprintf("%d replica sets, %d pods", rs, pods)
	})
	t.Logf("the garbage of a Deployment was collected in %s", took.Round(time.Millisecond))
	before := logLines(p)
	<-time.After(seconds(10))
	lines := logLines(p) - before
	t.Logf("in 10 s of a full etcd the log grew by %d lines", lines)
	if lines > 100 {
		t.Errorf("the log of a full etcd grows by %d lines in 10 s: writes do not back off", lines)
	}

	freeSpace(t, e)
	back := eventually(t, "writes work again", seconds(20), func() (bool, string) {
		a, err := p.ask("POST", maps, configMap("after", "1"), seconds(5))
		return err == nil && (a.code == 201 || a.code == 409), fmt.Sprint(a, err)
	})
	t.Logf("a write succeeded %s after space was freed", back.Round(time.Millisecond))
	deploy(t, p, "again", 3)
}

func logLines(p *plane) int { return strings.Count(tail(p.log, 1<<30), "\n") }

// freeSpace does what an admin does: compact, defragment, disarm.
func freeSpace(t *testing.T, e *etcd) {
	t.Helper()
	e.compactPhysically()
	for _, m := range e.members {
		if _, err := e.Defragment(e.ctx(), m.url()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.AlarmDisarm(e.ctx(), &clientv3.AlarmMember{}); err != nil {
		t.Fatal(err)
	}
}

func (e *etcd) compactPhysically() {
	e.t.Helper()
	_, err := e.Compact(e.ctx(), e.revision(), clientv3.WithCompactPhysical())
	must(e.t, err)
}

// Case 10: a member finds that its data are corrupt and raises the alarm: nothing is served from them.
func TestCorruptAlarm(t *testing.T) {
	e := startEtcd(t, 3)
	p := startPlane(t, "p", e.urls())
	p.ok("POST", maps, configMap("there", "1"))
	s, err := e.Status(e.ctx(), e.members[1].url())
	must(t, err)
	alarm := func(action etcdserverpb.AlarmRequest_AlarmAction) {
		ctx, cancel := context.WithTimeout(t.Context(), seconds(10))
		defer cancel()
		_, err := etcdserverpb.NewMaintenanceClient(e.ActiveConnection()).Alarm(ctx, &etcdserverpb.AlarmRequest{Action: action, MemberID: s.Header.MemberId, Alarm: etcdserverpb.AlarmType_CORRUPT})
		must(t, err)
	}
	alarm(etcdserverpb.AlarmRequest_ACTIVATE)
	for _, tt := range []struct {
		method, path, body string
		code               int
		want               string
	}{
		{"POST", maps, configMap("new", "1"), 503, "corrupt"},
		{"DELETE", maps + "/there", "", 503, "corrupt"},
		{"GET", "/readyz", "", 500, "etcd's member e2 ("},
		{"GET", maps + "/there", "", 200, ""}, // as etcd itself does
	} {
		a := p.do(tt.method, tt.path, tt.body)
		t.Logf("%s %s: %s", tt.method, tt.path, a)
		if a.code != tt.code || !strings.Contains(a.body, tt.want) {
			t.Errorf("%s %s with a corrupt member: %s", tt.method, tt.path, a)
		}
	}
	alarm(etcdserverpb.AlarmRequest_DEACTIVATE)
	eventually(t, "served again", seconds(20), func() (bool, string) {
		a, err := p.ask("GET", maps+"/there", "", seconds(5))
		return err == nil && a.code == 200, fmt.Sprint(a, err)
	})
}
