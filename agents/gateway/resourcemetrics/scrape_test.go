package resourcemetrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/agents/internal/usagerate"
)

// fakeKubelets are kubelets by their node's name; they count how often they are asked.
type fakeKubelets struct {
	answer map[string]func(context.Context) (string, error)

	mu    sync.Mutex // guards asked
	asked map[string]int
}

func (f *fakeKubelets) AskKubelet(ctx context.Context, node *corev1.Node, path string, limit int64) ([]byte, error) {
	f.mu.Lock()
	f.asked[node.Name]++
	f.mu.Unlock()
	text, err := f.answer[node.Name](ctx)
	return []byte(text), err
}

func (f *fakeKubelets) count(node string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[node]
}

// hangs is a kubelet that does not answer.
func hangs(ctx context.Context) (string, error) {
	<-ctx.Done()
	return "", ctx.Err()
}

// works is a kubelet whose container web uses a quarter of a CPU since it was started, and the node one.
func works(started time.Time) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		now := time.Now()
		const labels = `{container="web",namespace="default",pod="web"}`
		return fmt.Sprintf("# TYPE node_cpu_usage_seconds_total counter\nnode_cpu_usage_seconds_total %f %d\nnode_memory_working_set_bytes 1e+09 %d\n"+
			"container_start_time_seconds%s %f\ncontainer_cpu_usage_seconds_total%s %f %d\ncontainer_memory_working_set_bytes%s 5e+06 %d\nresource_scrape_error 0\n",
			float64(now.Unix()), now.UnixMilli(), now.UnixMilli(),
			labels, float64(started.UnixMilli())/1000, labels, now.Sub(started).Seconds()/4, now.UnixMilli(), labels, now.UnixMilli()), nil
	}
}

func scraperOf(answer map[string]func(context.Context) (string, error)) (*scraper, *fakeKubelets) {
	f := &fakeKubelets{answer: answer, asked: map[string]int{}}
	return &New(nil, f, slog.New(slog.DiscardHandler)).scraper, f
}

func nodeNamed(name string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)}}
}

var web = types.NamespacedName{Namespace: "default", Name: "web"}

func TestWhenAKubeletIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, kubelets := scraperOf(map[string]func(context.Context) (string, error){"n1": works(time.Now().Add(-time.Hour))})
		began := time.Now()
		for _, tt := range []struct {
			name   string
			after  time.Duration // since the beginning
			asked  int           // in all
			window time.Duration
		}{
			{"the first time, twice", 0, 2, time.Second},
			{"again", 4 * time.Second, 2, time.Second},
			{"later", 20 * time.Second, 3, 20 * time.Second},
			{"every 15 seconds", 35 * time.Second, 4, 15 * time.Second},
			{"when the samples are too old", 3 * time.Minute, 6, time.Second},
		} {
			time.Sleep(time.Until(began.Add(tt.after)))
			used := s.usageOf(t.Context(), nodeNamed("n1"))
			if used == nil {
				t.Fatalf("%s: no answer", tt.name)
			}
			one := used.pods[web]["web"]
			if asked := kubelets.count("n1"); asked != tt.asked || one.cpu.Window != tt.window || !near(one.cpu.PerSecond, 250e6) || !near(used.node.cpu.PerSecond, 1e9) || *one.memory != 5e6 {
				t.Errorf("%s: asked %d times, %+v, node %+v; want %d times, window %s", tt.name, asked, one, used.node, tt.asked, tt.window)
			}
		}
	})
}

// near tells whether a rate is the one wanted, but for the text's last digits.
func near(got, want uint64) bool { return got > want-want/1000 && got < want+want/1000 }

func TestManyShareAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, kubelets := scraperOf(map[string]func(context.Context) (string, error){"n1": works(time.Now().Add(-time.Hour))})
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if u := s.usageOf(t.Context(), nodeNamed("n1")); u == nil || !u.node.complete() {
					t.Errorf("no answer: %+v", u)
				}
			})
		}
		wg.Wait()
		if n := kubelets.count("n1"); n != 2 {
			t.Errorf("the kubelet was asked %d times", n)
		}
	})
}

func TestANodeThatHangsCostsOnlyItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started := time.Now().Add(-time.Hour)
		s, kubelets := scraperOf(map[string]func(context.Context) (string, error){
			"n1": works(started), "n2": hangs, "n3": func(context.Context) (string, error) { return "", errors.New("refused") },
			"n4": func(context.Context) (string, error) { return "\x00}{", nil },
		})
		h := &Handlers{scraper: scraper{kubelets: s.kubelets, log: s.log, nodes: s.nodes}}
		nodes := []*corev1.Node{nodeNamed("n2"), nodeNamed("n1"), nodeNamed("n3"), nodeNamed("n4")}
		for round := range 2 {
			began := time.Now()
			used := h.ask(t.Context(), nodes)
			if len(used) != 1 || used["n1"] == nil {
				t.Errorf("answers: %v", used)
			}
			if took, want := time.Since(began), []time.Duration{patience, 0}[round]; took != want {
				t.Errorf("asking took %s, want %s", took, want)
			}
		}
		if n := kubelets.count("n2"); n != 1 {
			t.Errorf("the node that hangs was asked %d times", n)
		}
	})
}

// A client that leaves takes nothing from those who come after.
func TestAClientThatLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := scraperOf(map[string]func(context.Context) (string, error){"n1": works(time.Now().Add(-time.Hour))})
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan *nodeUsage)
		go func() { left <- s.usageOf(ctx, nodeNamed("n1")) }()
		synctest.Wait() // it waits for the second sample
		waits := make(chan *nodeUsage)
		go func() { waits <- s.usageOf(t.Context(), nodeNamed("n1")) }()
		synctest.Wait()
		leave()
		if u := <-left; u != nil {
			t.Errorf("the one that left: %+v", u)
		}
		if u := <-waits; u == nil || !u.node.complete() {
			t.Errorf("the one that waits: %+v", u)
		}
	})
}

// A container that is started again has no usage until it runs for a while, and then that since its start.
func TestAContainerThatIsStartedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := map[string]func(context.Context) (string, error){"n1": works(time.Now().Add(-time.Hour))}
		s, _ := scraperOf(answers)
		s.usageOf(t.Context(), nodeNamed("n1"))
		time.Sleep(forget / 2)
		answers["n1"] = works(time.Now().Add(-6 * time.Second))
		if one := s.usageOf(t.Context(), nodeNamed("n1")).pods[web]["web"]; one.complete() {
			t.Errorf("6 s after the start: %+v", one)
		}
		time.Sleep(6 * time.Second)
		if one := s.usageOf(t.Context(), nodeNamed("n1")).pods[web]["web"]; !one.complete() || !near(one.cpu.PerSecond, 250e6) {
			t.Errorf("12 s after the start: %+v", one)
		}
	})
}

// Nodes that nobody asks for are forgotten.
func TestNodesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := scraperOf(nil)
		s.scrapeOf("gone")
		time.Sleep(forget + time.Second)
		s.scrapeOf("n1")
		if len(s.nodes) != 1 || s.nodes["n1"] == nil {
			t.Errorf("nodes: %v", s.nodes)
		}
	})
}

func TestParse(t *testing.T) {
	at := time.Unix(1795780800, 0)
	const labels = `{container="web",namespace="default",pod="web"}`
	for _, tt := range []struct {
		name, text string
		cpu        usagerate.Point
		memory     int64 // -1: none
		start      time.Time
	}{
		{"a counter", "# TYPE " + containerCPU + " counter\n" + containerCPU + labels + " 1.5 1795780799123\n", usagerate.Point{At: time.UnixMilli(1795780799123), Value: 1.5e9}, -1, time.Time{}},
		{"without a time", containerCPU + labels + " 1.5\n", usagerate.Point{At: at, Value: 1.5e9}, -1, time.Time{}},
		{"a gauge", "# TYPE " + containerMemory + " gauge\n" + containerMemory + labels + " 5e+06\n", usagerate.Point{}, 5e6, time.Time{}},
		{"a start", containerStart + labels + " 1.7957800005e+09\n", usagerate.Point{}, -1, time.UnixMilli(1795780000500)},
		{"no numbers", containerCPU + labels + " NaN\n" + containerMemory + labels + " +Inf\n" + containerStart + labels + " -1\n", usagerate.Point{}, -1, time.Time{}},
		{"too large", containerCPU + labels + " 1e+11\n" + containerMemory + labels + " 1e+17\n" + containerStart + labels + " 1e+300\n", usagerate.Point{}, -1, time.Time{}},
		{"the last counts", containerMemory + labels + " 1\n" + containerMemory + labels + " 2\n", usagerate.Point{}, 2, time.Time{}},
		{"another's", containerMemory + `{container="web",namespace="default",pod="web2"} 1` + "\n", usagerate.Point{}, -1, time.Time{}},
		{"a histogram", "# TYPE " + containerMemory + " histogram\n" + containerMemory + `_bucket{le="1"} 1` + "\n", usagerate.Point{}, -1, time.Time{}},
	} {
		s, err := parse([]byte(tt.text), at)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		got := usage{}
		if u := s.pods[web]["web"]; u != nil {
			got = *u
		}
		memory := int64(-1)
		if got.memory != nil {
			memory = *got.memory
		}
		if got.cpu != tt.cpu || memory != tt.memory || !got.start.Equal(tt.start) {
			t.Errorf("%s: %+v, memory %d", tt.name, got, memory)
		}
	}
}

// FuzzParse holds the reading of a kubelet's answer to not panicking, and to numbers in bounds.
func FuzzParse(f *testing.F) {
	text, _ := works(time.Unix(1795780800, 0))(context.Background())
	f.Add(text)
	f.Add("# TYPE " + nodeMemory + " summary\n" + nodeMemory + `{quantile="0.5"} 1` + "\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parse([]byte(text), time.Unix(0, 0))
		if err != nil {
			return
		}
		var h usagerate.History[counter]
		rates(s, h.Add(time.Unix(0, 0), nil)).node.complete()
		s.each(func(_ counter, u *usage) {
			if u.memory != nil && *u.memory < 0 {
				t.Errorf("memory %d", *u.memory)
			}
		})
	})
}
