package resourcemetrics

import (
	"context"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/agents/internal/usagerate"
)

const (
	// fresh is how long an answer of a node, or that it does not answer, is given to others who ask.
	fresh = 5 * time.Second
	// patience is how long a kubelet may take to answer.
	patience = 2 * time.Second
	// pause is between the samples of a node of which none is kept.
	pause = time.Second
	// forget is how long the samples of a node are kept that nobody asks for.
	forget = time.Minute
	// maxAnswer bounds what is read of a kubelet: of a thousand containers it is less than 1 MiB.
	maxAnswer = 16 << 20 // bytes
)

// Kubelets are asked for a page.
type Kubelets interface {
	// AskKubelet returns the body of a kubelet's answer to a GET of a path, if that is 200 and has no more than limit bytes.
	AskKubelet(ctx context.Context, node *corev1.Node, path string, limit int64) ([]byte, error)
}

// scraper asks kubelets, each no more often than is of use.
type scraper struct {
	kubelets Kubelets
	log      *slog.Logger

	mu    sync.Mutex // guards nodes
	nodes map[types.UID]*nodeScrape
}

// nodeScrape is what is known of one node.
type nodeScrape struct {
	used    time.Time     // when it was last asked for; guarded by scraper.mu
	turn    chan struct{} // held by who reads or writes what follows
	at      time.Time     // when the node was last asked
	last    *nodeUsage    // what it said then; nil: it did not answer
	history usagerate.History[counter]
}

// counter names a CPU counter: a container's, or with zero values the node's. A container that is started again has another.
type counter struct {
	pod       types.NamespacedName
	container string
	start     time.Time
}

// nodeUsage is what a node and the containers on it use. It is read-only.
type nodeUsage struct {
	node measured
	pods map[types.NamespacedName]map[string]measured
}

// measured is what something used in the window that ended at a time; without rate the window is zero.
type measured struct {
	at     time.Time
	cpu    usagerate.Rate // nanoseconds per second
	memory *int64         // bytes
}

// complete tells whether CPU and memory are known.
func (m measured) complete() bool { return m.cpu.Window > 0 && m.memory != nil }

// usageOf is what a node uses; nil where it does not answer, or ctx is done.
func (s *scraper) usageOf(ctx context.Context, node *corev1.Node) *nodeUsage {
	n := s.scrapeOf(node.UID)
	select {
	case n.turn <- struct{}{}:
	case <-ctx.Done():
		return nil
	}
	defer func() { <-n.turn }()
	if !n.at.IsZero() && time.Since(n.at) < fresh {
		return n.last
	}
	used, err := s.measure(ctx, node, &n.history)
	if ctx.Err() != nil {
		return nil // whoever asked has left: the node may be well
	}
	if err != nil {
		s.log.Warn("node gives no metrics", "node", node.Name, "err", err)
	}
	n.at, n.last = time.Now(), used
	return used
}

// scrapeOf is the scrape of a node, and forgets those that nobody has asked for.
func (s *scraper) scrapeOf(node types.UID) *nodeScrape {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	n := s.nodes[node]
	if n == nil {
		for uid, other := range s.nodes {
			if now.Sub(other.used) > forget {
				delete(s.nodes, uid)
			}
		}
		n = &nodeScrape{turn: make(chan struct{}, 1)}
		s.nodes[node] = n
	}
	n.used = now
	return n
}

// measure takes a sample of a node, or two where none is kept.
func (s *scraper) measure(ctx context.Context, node *corev1.Node, h *usagerate.History[counter]) (*nodeUsage, error) {
	now, base, err := s.sample(ctx, node, h)
	if err == nil && base.Empty() {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		now, base, err = s.sample(ctx, node, h)
	}
	if err != nil {
		return nil, err
	}
	return rates(now, base), nil
}

// sample asks a kubelet, and returns what the answer can be compared with.
func (s *scraper) sample(ctx context.Context, node *corev1.Node, h *usagerate.History[counter]) (sample, usagerate.Base[counter], error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	text, err := s.kubelets.AskKubelet(ctx, node, "/metrics/resource", maxAnswer)
	if err != nil {
		return sample{}, usagerate.Base[counter]{}, err
	}
	at := time.Now()
	now, err := parse(text, at)
	if err != nil {
		return sample{}, usagerate.Base[counter]{}, err
	}
	points := map[counter]usagerate.Point{}
	now.each(func(c counter, u *usage) {
		if !u.cpu.At.IsZero() {
			points[c] = u.cpu
		}
	})
	return now, h.Add(at, points), nil
}

// each calls f for the node and every container.
func (s sample) each(f func(counter, *usage)) {
	f(counter{}, &s.node)
	for pod, containers := range s.pods {
		for name, u := range containers {
			f(counter{pod, name, u.start}, u)
		}
	}
}

// rates are a sample's, by an earlier one.
func rates(now sample, base usagerate.Base[counter]) *nodeUsage {
	used := &nodeUsage{pods: map[types.NamespacedName]map[string]measured{}}
	now.each(func(c counter, u *usage) {
		m := measured{at: u.cpu.At, memory: u.memory}
		if !u.cpu.At.IsZero() {
			m.cpu, _ = base.Rate(c, u.cpu, u.start)
		}
		if c == (counter{}) {
			used.node = m
			return
		}
		if used.pods[c.pod] == nil {
			used.pods[c.pod] = map[string]measured{}
		}
		used.pods[c.pod][c.container] = m
	})
	return used
}
