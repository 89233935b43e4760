package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// flow is something that controllers and scheduler do from one request on.
type flow struct {
	nodes int
	// phase is what nodes report of every pod that is bound to them; "": they report nothing.
	phase   string
	ops     int // what CPU/op is divided by
	prepare func(*flowCluster) error
	begin   func(*flowCluster) error
	// under is the prefix of etcd whose keys are followed; done is called with each change, value nil: the key was deleted.
	under string
	done  func() func(key string, value []byte) bool
}

// flowCluster is a control plane with nodes that are only objects.
type flowCluster struct {
	*bench
	nodes int
}

const flowAgents = "gateway,scheduler,controllers"

// flowPatience is how long a flow may take.
const flowPatience = 5 * time.Minute

// run starts a control plane and its nodes, and measures the flow.
func (f flow) run(b *bench) (m measurement, err error) {
	own := &bench{options: b.options, dir: filepath.Join(b.dir, "flow")}
	if err := os.MkdirAll(own.dir, 0o700); err != nil {
		return m, err
	}
	defer os.RemoveAll(own.dir)
	dir := filepath.Join(own.dir, "plane")
	if own.plane, own.api, err = own.startPlane(dir, flowAgents, "--cluster-cidr", "10.128.0.0/12"); err != nil {
		return m, err
	}
	defer own.plane.end()
	defer func() { own.etcd.Close() }()
	if own.tls, err = clientTLS(dir); err != nil {
		return m, err
	}
	if own.pool, err = dialAll(own.api, own.tls, own.conns); err != nil {
		return m, err
	}
	if err := own.waitForAccount(own.pool[0]); err != nil {
		return m, err
	}
	c := &flowCluster{bench: own, nodes: f.nodes}
	if err := c.makeNodes(); err != nil {
		return m, fmt.Errorf("making nodes: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), flowPatience)
	defer cancel()
	if f.phase != "" {
		kubelets := c.startKubelets(ctx, f.phase)
		defer kubelets.Wait()
		defer cancel()
	}
	if f.prepare != nil {
		if err := f.prepare(c); err != nil {
			return m, fmt.Errorf("preparing: %w", err)
		}
	}
	return c.measure(ctx, f)
}

func (c *flowCluster) measure(ctx context.Context, f flow) (m measurement, err error) {
	revision, err := c.revision(ctx)
	if err != nil {
		return m, err
	}
	done := make(chan error, 1)
	go func() { done <- c.follow(ctx, f.under, revision+1, f.done()) }()
	before, began := c.plane.cpu(), time.Now()
	if err := f.begin(c); err != nil {
		return m, err
	}
	if err := <-done; err != nil {
		return m, err
	}
	m = measurement{ops: f.ops, elapsed: time.Since(began)}
	last, err := c.revision(ctx)
	if err != nil {
		return m, err
	}
	time.Sleep(settle)
	m.cpu = c.plane.cpu() - before
	m.note = fmt.Sprintf("%s, %d writes, CPU %s", short(m.elapsed), last-revision, short(m.cpu))
	return m, nil
}

func (c *flowCluster) revision(ctx context.Context) (int64, error) {
	res, err := c.etcd.Get(ctx, "/gantry/version")
	if err != nil {
		return 0, err
	}
	return res.Header.Revision, nil
}

// follow calls done with every change below a prefix, from a revision on, until it returns true.
func (c *flowCluster) follow(ctx context.Context, prefix string, revision int64, done func(key string, value []byte) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for res := range c.etcd.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(revision)) {
		if err := res.Err(); err != nil {
			return err
		}
		for _, e := range res.Events {
			value := e.Kv.Value
			if e.Type == clientv3.EventTypeDelete {
				value = nil
			}
			if done(string(e.Kv.Key), value) {
				return nil
			}
		}
	}
	return fmt.Errorf("waited for %s in etcd: %w", prefix, context.Cause(ctx))
}

// flowHead is what is read of an object.
type flowHead struct {
	Metadata struct {
		UID, Namespace, Name string
		DeletionTimestamp    string
		Generation           int
	}
	Spec   struct{ NodeName string }
	Status struct {
		Phase, CompletionTime string
		ObservedGeneration    int
		Replicas              int
		UpdatedReplicas       int
		AvailableReplicas     int
	}
}

func headOf(value []byte) (h flowHead) {
	_ = json.Unmarshal(value, &h) // what is no object has an empty head
	return h
}

// inParallel calls op with 0 to n-1 by all clients, each with one of the connections.
func (c *flowCluster) inParallel(n int, op func(conn *h2, i int) error) error {
	_, err := inTurn(c.plane, n, c.clients, func(i int) error { return op(c.pool[i%len(c.pool)], i) })
	return err
}

func (c *flowCluster) post(conn *h2, path string, body []byte) error {
	_, err := conn.want(201, &request{method: "POST", path: path, contentType: "application/json", body: body, keep: true})
	return err
}

const flowNode = `{"kind":"Node","apiVersion":"v1","metadata":{"name":"NAME","labels":{"kubernetes.io/hostname":"NAME","kubernetes.io/os":"linux","topology.kubernetes.io/zone":"ZONE"}},
"status":{"capacity":{"cpu":"32","memory":"128Gi","pods":"110"},"allocatable":{"cpu":"32","memory":"128Gi","pods":"110"},
"conditions":[{"type":"Ready","status":"True","reason":"KubeletReady","lastHeartbeatTime":"2026-11-27T00:00:00Z","lastTransitionTime":"2026-11-27T00:00:00Z"}]}}`

// makeNodes makes the nodes with a heartbeat each, and waits until pods may be scheduled on all.
func (c *flowCluster) makeNodes() error {
	name := func(i int) string { return fmt.Sprintf("node-%04d", i) }
	err := c.inParallel(c.nodes, func(conn *h2, i int) error {
		body := strings.NewReplacer("NAME", name(i), "ZONE", fmt.Sprintf("zone-%d", i%3)).Replace(flowNode)
		if err := c.post(conn, "/api/v1/nodes", []byte(body)); err != nil {
			return err
		}
		lease := fmt.Sprintf(`{"kind":"Lease","apiVersion":"coordination.k8s.io/v1","metadata":{"name":%q},"spec":{"holderIdentity":%q,"leaseDurationSeconds":40,"renewTime":%q}}`,
			name(i), name(i), time.Now().UTC().Format("2006-01-02T15:04:05.000000Z07:00"))
		return c.post(conn, "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", []byte(lease))
	})
	if err != nil {
		return err
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		res, err := c.pool[0].want(200, &request{method: "GET", path: "/api/v1/nodes", keep: true})
		if err != nil {
			return err
		}
		if bytes.Count(res.body, []byte(`"podCIDR":`)) == c.nodes && !bytes.Contains(res.body, []byte(`"taints":`)) {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("waited a minute for the nodes to be schedulable: %d of %d have a podCIDR, %d taints",
				bytes.Count(res.body, []byte(`"podCIDR":`)), c.nodes, bytes.Count(res.body, []byte(`"taints":`)))
		}
	}
}

// startKubelets reports a phase of every pod that is bound, and removes pods that are deleted, until ctx is done.
func (c *flowCluster) startKubelets(ctx context.Context, phase string) *sync.WaitGroup {
	var group sync.WaitGroup
	pods := make(chan flowHead, 1<<16)
	group.Go(func() {
		defer close(pods)
		_ = c.follow(ctx, "/registry/pods/", 0, func(_ string, value []byte) bool {
			h := headOf(value)
			if h.Spec.NodeName != "" && (h.Metadata.DeletionTimestamp != "" || h.Status.Phase != phase) {
				pods <- h
			}
			return false
		})
	})
	ready, state := "True", `{"running":{"startedAt":"2026-11-27T00:00:00Z"}}`
	if phase == "Succeeded" {
		ready, state = "False", `{"terminated":{"exitCode":0,"reason":"Completed","startedAt":"2026-11-27T00:00:00Z","finishedAt":"2026-11-27T00:00:00Z"}}`
	}
	status := fmt.Appendf(nil, `{"status":{"phase":%q,"podIP":"10.128.0.9","podIPs":[{"ip":"10.128.0.9"}],"startTime":"2026-11-27T00:00:00Z",`+
		`"conditions":[{"type":"Ready","status":%q,"lastTransitionTime":"2026-11-27T00:00:00Z"}],`+
		`"containerStatuses":[{"name":"main","image":"none","imageID":"","ready":%t,"restartCount":0,"state":%s}]}}`, phase, ready, ready == "True", state)
	for i := range c.clients {
		conn := c.pool[i%len(c.pool)]
		group.Go(func() {
			for h := range pods {
				path := "/api/v1/namespaces/" + h.Metadata.Namespace + "/pods/" + h.Metadata.Name
				if h.Metadata.DeletionTimestamp != "" {
					_, _ = conn.do(&request{method: "DELETE", path: path, contentType: "application/json", body: []byte(`{"gracePeriodSeconds":0}`)})
					continue
				}
				_, _ = conn.do(&request{method: "PATCH", path: path + "/status", contentType: "application/merge-patch+json", body: status})
			}
		})
	}
	return &group
}
