//go:build faults

package faults

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Case 28: 5,000 watchers that never read.
func TestWatchersThatNeverRead(t *testing.T) {
	const watchers, perConn = 5000, 200
	e := startEtcd(t, 1)
	p := startPlane(t, "p", e.urls())
	p.ok("POST", maps, configMap("loud", "1"))
	p.ok("GET", maps, "")
	<-time.After(seconds(3))
	before, resourcesBefore := p.memory("VmRSS"), p.resources()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	forget := openStalled(ctx, t, p, watchers, perConn)
	idle := p.memory("VmRSS")
	i, stop := p.follow(maps)
	defer stop()
	// 40 MB of events for each: far more than any buffer holds.
	value := e.value("/registry/configmaps/default/loud")
	began := time.Now()
	for n := range 400 {
		e.put("/registry/configmaps/default/loud", strings.Replace(value, `"n":"1"`, fmt.Sprintf(`"n":"%d %s"`, n, strings.Repeat("x", 100<<10)), 1))
		if n%40 == 39 {
			a := p.do("GET", maps+"?limit=1&resourceVersion=0", "")
			t.Logf("after %d MB of events: resident %d MB, a list took %s", (n+1)/10, p.memory("VmRSS")>>20, a.took.Round(time.Millisecond))
		}
	}
	i.check(t, e, "/registry/configmaps/default/")
	t.Logf("a healthy watcher had all of it %s after the first", time.Since(began).Round(time.Millisecond))
	peak := p.memory("VmHWM")
	per := func(bytes int64) int64 { return (bytes - before) / watchers >> 10 }
	t.Logf("%d watchers that never read: resident %d MB before, %d MB with them idle (%d KiB each), at most %d MB under events (%d KiB each, with the history of 32 MB that all share)",
		watchers, before>>20, idle>>20, per(idle), peak>>20, per(peak))
	if per(peak-64<<20) > 64 {
		t.Errorf("%d KiB for each stalled watcher, want 64", per(peak-64<<20))
	}
	left := eventually(t, "the stalled watchers are cut off", seconds(90), func() (bool, string) {
		n := watching(p)
		return n < 100, fmt.Sprintf("%d watches", n)
	})
	t.Logf("they were cut off within %s", left.Round(time.Second))
	cancel()
	forget()
	eventually(t, "goroutines and files are those of before", seconds(60), func() (bool, string) {
		now := p.resources()
		return now.goroutines < resourcesBefore.goroutines+100 && now.files < resourcesBefore.files+20, fmt.Sprintf("%+v, before %+v", now, resourcesBefore)
	})
	t.Logf("goroutines and files were %+v before and %+v after; resident %d MB after", resourcesBefore, p.resources(), p.memory("VmRSS")>>20)
}

// resources are what a process must release.
type resources struct{ goroutines, files int }

func (p *plane) resources() (h resources) {
	p.t.Helper()
	for line := range strings.Lines(p.ok("GET", "/metrics", "").body) {
		_, _ = fmt.Sscanf(line, "go_goroutines %d", &h.goroutines) // other lines do not match
		_, _ = fmt.Sscanf(line, "process_open_fds %d", &h.files)
	}
	if h.goroutines == 0 || h.files == 0 {
		p.t.Fatalf("/metrics has %+v", h)
	}
	return h
}

// openStalled opens watches and does not read their bodies; forget closes them and their connections.
func openStalled(ctx context.Context, t *testing.T, p *plane, n, perConn int) (forget func()) {
	t.Helper()
	var open []*http.Response
	var clients []*http.Client
	var mu sync.Mutex
	var wg sync.WaitGroup
	for c := 0; c < n; c += perConn {
		client := p.newClient()
		clients = append(clients, client)
		tr := client.Transport.(*http.Transport)
		tr.HTTP2.MaxReceiveBufferPerStream = 64 << 10
		tr.HTTP2.SendPingTimeout = 0
		wg.Go(func() {
			for range perConn {
				req, err := http.NewRequestWithContext(ctx, "GET", p.url()+maps+"?watch=1", nil)
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := client.Do(req)
				if err != nil || resp.StatusCode != 200 {
					t.Errorf("opening a watch: %v, %v", resp, err)
					return
				}
				mu.Lock()
				open = append(open, resp)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return func() {
		for _, resp := range open {
			resp.Body.Close()
		}
		for _, c := range clients {
			c.CloseIdleConnections()
		}
	}
}

// watching is how many watches the gateway has open.
func watching(p *plane) (n int) {
	for line := range strings.Lines(p.ok("GET", "/metrics", "").body) {
		if strings.HasPrefix(line, "apiserver_longrunning_requests{") {
			var v float64
			_, _ = fmt.Sscan(line[strings.LastIndex(line, " ")+1:], &v)
			n += int(v)
		}
	}
	return n
}

// Case 29: one object is changed as fast as etcd takes it, under watchers: each sees every revision. How
// much slower etcd gets is logged but not checked: the watchers use the same cores.
func TestFlood(t *testing.T) {
	e := startEtcd(t, 1)
	p := startPlane(t, "p", e.urls())
	p.ok("POST", maps, configMap("hot", "0"))
	value := e.value("/registry/configmaps/default/hot")
	flood := func(d time.Duration) (puts int64, p99 time.Duration) {
		var n atomic.Int64
		var mu sync.Mutex
		var took []time.Duration
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for end := time.Now().Add(d); time.Now().Before(end); {
					began := time.Now()
					e.put("/registry/configmaps/default/hot", strings.Replace(value, `"n":"0"`, fmt.Sprintf(`"n":"%d"`, n.Add(1)), 1))
					mu.Lock()
					took = append(took, time.Since(began))
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		slices.Sort(took)
		return n.Load(), took[len(took)*99/100]
	}
	alone, p99Alone := flood(seconds(5))
	const watchers = 50
	start := e.revision()
	ctx, cancel := context.WithTimeout(t.Context(), seconds(90))
	defer cancel()
	var streams []<-chan event
	for range watchers {
		w, err := p.watch(ctx, fmt.Sprintf("%s?watch=1&resourceVersion=%d", maps, start))
		must(t, err)
		streams = append(streams, w)
	}
	var wg sync.WaitGroup
	seen := make([]int64, watchers)
	done := make(chan struct{})
	for n, w := range streams {
		wg.Go(func() {
			for ev := range w {
				if ev.Type == "ERROR" {
					t.Errorf("watcher %d: %s", n, ev.Object)
					return
				}
				seen[n]++
				if strings.Contains(string(ev.Object), `"n":"end"`) {
					return
				}
			}
		})
	}
	puts, p99 := flood(seconds(5))
	e.put("/registry/configmaps/default/hot", strings.Replace(value, `"n":"0"`, `"n":"end"`, 1))
	ended := time.Now()
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		t.Errorf("watchers have not seen the end")
	}
	t.Logf("alone %d puts/s with p99 %s; under %d watchers %d puts/s with p99 %s; the last watcher was %s behind at the end", alone/5, p99Alone, watchers, puts/5, p99, time.Since(ended).Round(time.Millisecond))
	for n, got := range seen {
		if got != puts+1 {
			t.Errorf("watcher %d saw %d changes of %d", n, got, puts+1)
			break
		}
	}
}

// Case 14: 200 lists of 5,000 pods at once, of the cache and of the history of an etcd that is slow.
func TestManyLists(t *testing.T) {
	e := startEtcd(t, 1)
	p := startPlane(t, "p", e.urls(), "--agents", "gateway,controllers")
	<-time.After(seconds(2))
	pad := strings.Repeat("x", 4500)
	for n := range 5000 {
		e.put(fmt.Sprintf("/registry/pods/default/p%d", n), strings.NewReplacer(`"name":"bad"`, fmt.Sprintf(`"name":"p%d","annotations":{"pad":"%s"}`, n, pad), badUID, uidOf(fmt.Sprint("p", n)), `"nodeName":"n1",`, "").Replace(podA))
	}
	first := p.ok("GET", pods, "")
	rev := asObject(first.body).Metadata.ResourceVersion
	e.put("/registry/pods/default/p0", e.value("/registry/pods/default/p0")) // so that rev is not what the cache has
	base := p.memory("VmRSS")
	for _, tt := range []struct{ name, query string }{
		{"of the cache", ""},
		{"exact, of etcd", "?resourceVersionMatch=Exact&resourceVersion=" + rev},
	} {
		codes := map[int]int{}
		var bytes atomic.Int64
		var mu sync.Mutex
		var wg sync.WaitGroup
		began := time.Now()
		fast := e.members[0].slow()
		for range 200 {
			wg.Go(func() {
				a, err := p.ask("GET", pods+tt.query, "", seconds(240))
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					codes[0]++
					return
				}
				codes[a.code]++
				bytes.Add(int64(len(a.body)))
			})
		}
		wg.Wait()
		fast()
		t.Logf("200 lists %s: %v, %d MB in %s; resident %d MB before, at most %d MB", tt.name, codes, bytes.Load()>>20, time.Since(began).Round(time.Millisecond), base>>20, p.memory("VmHWM")>>20)
		if codes[0] > 0 || codes[500] > 0 || codes[200] == 0 {
			t.Errorf("lists %s ended as %v; want as many served as there is time for, and 504 or 429 for the rest", tt.name, codes)
		}
		if peak := p.memory("VmHWM"); peak > base+1<<30 {
			t.Errorf("lists %s took %d MB, want less than 1 GB more than before", tt.name, peak>>20)
		}
		must(t, os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid), []byte("5"), 0)) // resets the peak
	}
}

// slow stops the member for half of the time, until the result is called.
func (m *member) slow() (fast func()) {
	stop, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		for {
			for _, sig := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT} {
				_ = m.cmd.Process.Signal(sig) // it may have ended
				select {
				case <-stop:
					_ = m.cmd.Process.Signal(syscall.SIGCONT)
					return
				case <-time.After(100 * time.Millisecond):
				}
			}
		}
	}()
	return func() { close(stop); <-over }
}

// Case 36: pages over a compaction, and tokens that were given for something else.
func TestPages(t *testing.T) {
	e := startEtcd(t, 1)
	p := startPlane(t, "p", e.urls())
	for n := range 20 {
		p.ok("POST", maps, configMap(fmt.Sprintf("m%02d", n), "1"))
	}
	token := func(a answer) string { return parse[objects](t, a.body).Metadata.Continue }
	page := p.ok("GET", maps+"?limit=5", "")
	at := parse[objects](t, page.body).Metadata.ResourceVersion
	next := token(page)
	for _, tt := range []struct{ name, path string }{
		{"of another kind", "/api/v1/namespaces/default/secrets"},
		{"of another namespace", "/api/v1/namespaces/kube-system/configmaps"},
	} {
		if a := p.do("GET", tt.path+"?limit=5&continue="+next, ""); a.code != 400 {
			t.Errorf("a token %s: %s", tt.name, a)
		}
	}
	if a := p.do("GET", maps+"?limit=5&continue="+next[:len(next)-4]+"AAAA", ""); a.code != 400 {
		t.Errorf("a tampered token: %s", a)
	}
	e.del("/registry/configmaps/default/m07")
	e.compact()
	p.signal(syscall.SIGKILL) // another gateway has no pages in memory
	<-p.done
	p.run()
	a := p.do("GET", maps+"?limit=5&continue="+next, "")
	if a.code != 410 || a.status().Reason != "Expired" || a.status().Continue == "" {
		t.Fatalf("continuing at %s after a compaction: %s", at, a)
	}
	rest := p.ok("GET", maps+"?limit=50&continue="+a.status().Continue, "")
	want := strings.Split("kube-root-ca.crt m00 m01 m02 m03 m04 m05 m06 m08 m09 m10 m11 m12 m13 m14 m15 m16 m17 m18 m19", " ")
	first := strings.Fields(names(parse[objects](t, page.body)))
	if got := names(parse[objects](t, rest.body)); got != strings.Join(want[slices.Index(want, first[4])+1:], " ") {
		t.Errorf("after %v the rest is %s", first, got)
	}
}
