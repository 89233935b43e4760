package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"gantry/agents/kubelet/pause"
)

// node is a whole cluster of one node: every agent in one process, and a watch of the pods.
type node struct {
	plane *child
	dir   string
	name  string
	api   string // host:port
	tls   *tls.Config
	conns []*h2

	mu   sync.Mutex // guards what follows
	part []byte     // of an event
	wait map[string]chan time.Time
	gone map[string]chan time.Time
}

// burst is how many pods start at once.
const burst = 30

// startNode starts the cluster once.
func (b *bench) startNode() (n *node, err error) {
	if b.node != nil {
		return b.node, nil
	}
	n = &node{
		dir: filepath.Join(b.dir, "node"), name: fmt.Sprintf("bench-%d", os.Getpid()),
		wait: map[string]chan time.Time{}, gone: map[string]chan time.Time{},
	}
	var ports [3]string
	for i := range ports {
		p, err := freePort()
		if err != nil {
			return nil, err
		}
		ports[i] = strconv.Itoa(p)
	}
	n.plane, err = startChild(5*time.Minute, "gantry ready", b.gantry, "up", "--data-dir", n.dir, "--node-name", n.name, "--node-ip", nodeIP,
		"--secure-port", ports[0], "--etcd-port", ports[1], "--kubelet-port", ports[2])
	if err != nil {
		return nil, err
	}
	b.node = n // close removes it
	n.api = "127.0.0.1:" + ports[0]
	if n.tls, err = clientTLS(n.dir); err != nil {
		return nil, err
	}
	if n.conns, err = dialAll(n.api, n.tls, b.conns); err != nil {
		return nil, err
	}
	if err := b.waitForAccount(n.conns[0]); err != nil {
		return nil, err
	}
	_, err = n.conns[0].start(&request{method: "GET", path: podsPath + "?watch=1", each: n.readEvents})
	if err != nil {
		return nil, err
	}
	_, err = n.run(1, 1) // the node is ready when it has run one
	return n, err
}

// remove ends the cluster and what it has made.
func (n *node) remove(gantry string) error {
	if n == nil {
		return nil
	}
	n.plane.end()
	if text, err := exec.Command(gantry, "down", "--data-dir", n.dir).CombinedOutput(); err != nil {
		return fmt.Errorf("gantry down: %w\n%s", err, text)
	}
	return nil
}

const podsPath = "/api/v1/namespaces/default/pods"

// readEvents reads a piece of the watch's stream.
//
//	{"type":"MODIFIED","object":{"kind":"Pod",...}}
func (n *node) readEvents(piece []byte) {
	now := time.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.part = append(n.part, piece...)
	for {
		line, rest, ok := bytes.Cut(n.part, []byte("\n"))
		if !ok {
			return
		}
		var e struct {
			Type   string
			Object struct {
				Metadata struct{ Name string }
				Status   struct{ Phase string }
			}
		}
		if err := json.Unmarshal(line, &e); err == nil {
			name := e.Object.Metadata.Name
			if e.Object.Status.Phase == "Running" {
				notify(n.wait, name, now)
			}
			if e.Type == "DELETED" {
				notify(n.gone, name, now)
			}
		}
		n.part = append(n.part[:0], rest...)
	}
}

// notify sends at to the channel of name, once.
func notify(all map[string]chan time.Time, name string, at time.Time) {
	if c := all[name]; c != nil {
		c <- at
		delete(all, name)
	}
}

var nodePods atomic.Int64

// waitTimeout bounds the start and the end of a pod.
const waitTimeout = time.Minute

// run starts count pods, so many at a time, and measures each from its POST until a watcher sees that it is Running. Then it deletes
// them and waits until nothing of them is left.
func (n *node) run(count, clients int) (measurement, error) {
	name := func(i int64) string { return fmt.Sprintf("bench-%d", i) }
	first := nodePods.Add(int64(count)) - int64(count)
	gone := make([]chan time.Time, count)
	running := make([]chan time.Time, count)
	n.mu.Lock()
	for i := range count {
		gone[i], running[i] = make(chan time.Time, 1), make(chan time.Time, 1)
		n.wait[name(first+int64(i))], n.gone[name(first+int64(i))] = running[i], gone[i]
	}
	n.mu.Unlock()
	m, err := inTurn(n.plane, count, clients, func(i int) error {
		_, err := n.conns[i%len(n.conns)].want(201, &request{method: "POST", path: podsPath, contentType: "application/json", body: smallPod(name(first + int64(i)))})
		if err != nil {
			return err
		}
		return waitFor(running[i], name(first+int64(i))+" to run")
	})
	if err != nil {
		return m, err
	}
	for i := range count {
		_, err := n.conns[i%len(n.conns)].want(200, &request{
			method: "DELETE", path: podsPath + "/" + name(first+int64(i)), contentType: "application/json", body: []byte(`{"gracePeriodSeconds":1}`),
		})
		if err != nil {
			return m, err
		}
	}
	for i := range count {
		if err := waitFor(gone[i], name(first+int64(i))+" to be gone"); err != nil {
			return m, err
		}
	}
	return m, untilNoContainers("io.gantry.node=" + n.name)
}

func waitFor(c chan time.Time, what string) error {
	select {
	case <-c:
		return nil
	case <-time.After(waitTimeout):
		return fmt.Errorf("waited a minute for %s", what)
	}
}

// inTurn does count operations by so many clients at once, and measures the CPU time of p.
func inTurn(p *child, count, clients int, op func(i int) error) (measurement, error) {
	var group sync.WaitGroup
	var next atomic.Int64
	var failed atomic.Pointer[error]
	times := make([]time.Duration, count)
	before, began := p.cpu(), time.Now()
	for range clients {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < count && failed.Load() == nil; i = int(next.Add(1)) - 1 {
				t := time.Now()
				if err := op(i); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
				times[i] = time.Since(t)
			}
		})
	}
	group.Wait()
	m := measurement{ops: count, elapsed: time.Since(began), cpu: p.cpu() - before}
	if err := failed.Load(); err != nil {
		return m, *err
	}
	m.p50, m.p99 = percentiles(times)
	return m, nil
}

// smallPod is one container of the pause image, which every engine with a kubelet has.
func smallPod(name string) []byte {
	return fmt.Appendf(nil, `{"kind":"Pod","apiVersion":"v1","metadata":{"name":%q},"spec":{"terminationGracePeriodSeconds":1,`+
		`"containers":[{"name":"main","image":%q,"imagePullPolicy":"IfNotPresent"}]}}`, name, pause.Reference)
}

// runPods starts one pod after the other, or all of a burst at once.
func runPods(count, clients int) func(*bench) (measurement, error) {
	return func(b *bench) (measurement, error) {
		n, err := b.startNode()
		if err != nil {
			return measurement{}, err
		}
		return n.run(count, clients)
	}
}
