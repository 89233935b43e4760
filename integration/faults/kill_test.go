//go:build faults

package faults

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// rounds is how often the slow tests repeat: $GANTRY_FAULTS_ROUNDS, or normal.
func rounds(t *testing.T, normal int) int {
	text := os.Getenv("GANTRY_FAULTS_ROUNDS")
	if text == "" {
		return normal
	}
	n, err := strconv.Atoi(text)
	must(t, err)
	return n
}

// register is an object with one writer: its value is the last acknowledged one, or one that was sent after that.
type register struct {
	name         string
	rv           string
	acked, tried int
	unknown      int // writes without an answer, or with an answer that says that the outcome is unknown
}

// write increments the number until an outcome is unknown; an answer that is neither fails the test.
func (r *register) write(t *testing.T, p *plane, limit time.Duration) {
	for n := r.acked + 1; ; n++ {
		r.tried = n
		body := fmt.Sprintf(`{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":%q,"resourceVersion":%q},"data":{"n":"%d"}}`, r.name, r.rv, n)
		method, path := "PUT", maps+"/"+r.name
		if r.rv == "" {
			method, path = "POST", maps
		}
		a, err := p.ask(method, path, body, limit)
		switch {
		case err != nil || a.code >= 500:
			r.unknown++
			return
		case a.code/100 != 2:
			t.Errorf("%s of %s to %d: %s", method, r.name, n, a)
			return
		}
		var o object
		if err := json.Unmarshal([]byte(a.body), &o); err != nil {
			t.Errorf("%s: %v", a, err)
			return
		}
		r.acked, r.rv = n, o.Metadata.ResourceVersion
	}
}

// check reads the register, checks the value and takes it as acknowledged.
func (r *register) check(t *testing.T, p *plane) {
	t.Helper()
	a := p.do("GET", maps+"/"+r.name, "")
	if a.code == 404 && r.acked == 0 {
		r.rv = ""
		return
	}
	if a.code != 200 {
		t.Fatalf("%s is lost, acknowledged was %d: %s", r.name, r.acked, a)
	}
	o := parse[object](t, a.body)
	n, err := strconv.Atoi(o.Data["n"])
	must(t, err)
	if n != r.acked && n != r.tried {
		t.Errorf("%s holds %d; acknowledged was %d, tried %d", r.name, n, r.acked, r.tried)
	}
	r.acked, r.rv = n, o.Metadata.ResourceVersion
}

// Case 1: kill -9 of everything, etcd included, in the middle of writes.
func TestKillDuringWrites(t *testing.T) {
	p := startPlane(t, "p", nil)
	const writers = 32
	all := make([]*register, writers)
	for i := range all {
		all[i] = &register{name: fmt.Sprintf("r%d", i)}
	}
	var ready []time.Duration
	writes := 0
	began := time.Now()
	var busy time.Duration
	for range rounds(t, 10) {
		before := 0
		for _, r := range all {
			before += r.acked
		}
		at := time.Now()
		var wg sync.WaitGroup
		for _, r := range all {
			wg.Go(func() { r.write(t, p, seconds(10)) })
		}
		<-time.After(200*time.Millisecond + rand.N(400*time.Millisecond))
		p.end(syscall.SIGKILL)
		wg.Wait()
		busy += time.Since(at)
		ready = append(ready, p.run())
		for _, r := range all {
			r.check(t, p)
			writes += r.acked
		}
		writes -= before
	}
	slices.Sort(ready)
	median := ready[len(ready)/2]
	t.Logf("%d writes, %.0f/s until the kills, in %d rounds (%s); ready again after %s (median), at most %s", writes, float64(writes)/busy.Seconds(), len(ready),
		time.Since(began).Round(time.Second), median.Round(time.Millisecond), ready[len(ready)-1].Round(time.Millisecond))
	if median > seconds(2) {
		t.Errorf("ready again after %s, want 2 s", median)
	}
}
