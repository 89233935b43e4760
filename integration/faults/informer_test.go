//go:build faults

package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// informer lists and watches a collection as Kubernetes' clients do: it continues after a closed connection and lists again after 410.
type informer struct {
	p    *plane
	path string

	mu      sync.Mutex // guards what follows
	from    int64      // revision of the first list
	seen    []change   // of the watches
	relists []int64    // revisions of later lists; changes between one and the event before it are not seen
	state   map[string]int64
	errs    []string
	done    chan struct{}
}

// follow starts an informer; the result's stop ends it.
func (p *plane) follow(path string) (i *informer, stop func()) {
	i = &informer{p: p, path: path, done: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	ready := make(chan struct{})
	go func() {
		defer close(i.done)
		for first := true; ctx.Err() == nil; {
			if rev, ok := i.relist(first); ok {
				if first {
					close(ready)
				}
				first = false
				i.stream(ctx, rev)
			} else {
				<-time.After(100 * time.Millisecond) // a client's back-off
			}
		}
	}()
	<-ready
	return i, func() { cancel(); <-i.done }
}

func (i *informer) relist(first bool) (int64, bool) {
	a, err := i.p.ask("GET", i.path, "", seconds(10))
	if err != nil || a.code != 200 {
		return 0, false
	}
	var l objects
	if json.Unmarshal([]byte(a.body), &l) != nil {
		return 0, false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	rev := number(l.Metadata.ResourceVersion)
	i.state = map[string]int64{}
	for _, o := range l.Items {
		i.state[o.Metadata.Name] = number(o.Metadata.ResourceVersion)
	}
	if first {
		i.from = rev
	} else {
		i.relists = append(i.relists, rev)
	}
	return rev, true
}

// stream watches, over closed connections, until the revision is compacted.
func (i *informer) stream(ctx context.Context, rev int64) {
	for ctx.Err() == nil {
		events, err := i.p.watch(ctx, fmt.Sprintf("%s?watch=1&resourceVersion=%d&allowWatchBookmarks=true", i.path, rev))
		if err != nil {
			if strings.Contains(err.Error(), ": 410 ") {
				return
			}
			<-time.After(100 * time.Millisecond) // a client's back-off
			continue
		}
		for e := range events {
			if e.Type == "ERROR" {
				i.mu.Lock()
				i.errs = append(i.errs, string(e.Object))
				i.mu.Unlock()
				if strings.Contains(string(e.Object), `"code":410`) {
					return
				}
				continue
			}
			rev = max(rev, i.take(e))
		}
	}
}

func (i *informer) take(e event) int64 {
	var o object
	_ = json.Unmarshal(e.Object, &o) // check finds what is missing
	c := change{rev: number(o.Metadata.ResourceVersion), gone: e.Type == "DELETED", name: o.Metadata.Name}
	if e.Type == "BOOKMARK" {
		return c.rev
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.seen = append(i.seen, c)
	if i.state[c.name] = c.rev; c.gone {
		delete(i.state, c.name)
	}
	return c.rev
}

func number(text string) (n int64) {
	_, _ = fmt.Sscan(text, &n) // 0 matches no revision
	return n
}

// check compares what the informer has seen with etcd's history below a prefix: everything in order and once, but for what
// lies before a list that 410 made it do.
func (i *informer) check(t *testing.T, e *etcd, prefix string) {
	t.Helper()
	want := map[string]int64{}
	for _, kv := range e.get(prefix, withPrefix()...).Kvs {
		want[strings.TrimPrefix(string(kv.Key), prefix)] = kv.ModRevision
	}
	eventually(t, "the informer's state is etcd's", seconds(30), func() (bool, string) {
		i.mu.Lock()
		defer i.mu.Unlock()
		for name, rev := range want {
			if i.state[name] != rev {
				return false, fmt.Sprintf("%s at %d, in etcd at %d; %d of %d objects; errors %v", name, i.state[name], rev, len(i.state), len(want), i.errs)
			}
		}
		return len(i.state) == len(want), fmt.Sprintf("%d objects, in etcd %d", len(i.state), len(want))
	})
	i.mu.Lock()
	defer i.mu.Unlock()
	var floor int64
	if n := len(i.relists); n > 0 {
		floor = i.relists[n-1]
	}
	begin := max(i.from, floor)
	var seen []change
	for _, c := range i.seen {
		if c.rev > begin {
			seen = append(seen, c)
		}
	}
	history := e.history(prefix, begin)
	if len(seen) != len(history) {
		t.Errorf("after %d a watcher saw %d changes, etcd has %d (lists again at %v)", begin, len(seen), len(history), i.relists)
		return
	}
	for n := range seen {
		if seen[n] != history[n] {
			t.Errorf("change %d: a watcher saw %+v, etcd has %+v", n, seen[n], history[n])
			return
		}
	}
	t.Logf("a watcher saw %d changes as etcd has them, listed again %d times", len(seen), len(i.relists))
}
