//go:build faults

package faults

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// startNode makes a node whose kubelet is this test: its heartbeat goes straight to etcd until the test ends.
func startNode(t *testing.T, p *plane, e *etcd, name string) {
	t.Helper()
	p.ok("POST", "/api/v1/nodes", fmt.Sprintf(`{"kind":"Node","apiVersion":"v1","metadata":{"name":%q}}`, name))
	now := time.Now().UTC().Format(time.RFC3339)
	p.ok("PATCH", "/api/v1/nodes/"+name+"/status", fmt.Sprintf(`{"status":{"capacity":{"cpu":"64","memory":"64Gi","pods":"1000"},"allocatable":{"cpu":"64","memory":"64Gi","pods":"1000"},
"conditions":[{"type":"Ready","status":"True","reason":"KubeletReady","lastHeartbeatTime":%q,"lastTransitionTime":%q}]}}`, now, now), "Content-Type", "application/strategic-merge-patch+json")
	lease := "/registry/leases/kube-node-lease/" + name
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(2 * time.Second)
		defer tick.Stop()
		for n := 0; ctx.Err() == nil; n++ {
			value := fmt.Sprintf(`{"kind":"Lease","apiVersion":"coordination.k8s.io/v1","metadata":{"name":%q,"namespace":"kube-node-lease","uid":%q},"spec":{"holderIdentity":%q,"leaseDurationSeconds":40,"renewTime":%q}}`,
				name, uidOf(name), name, time.Now().UTC().Format("2006-01-02T15:04:05.000000Z"))
			pctx, pcancel := context.WithTimeout(ctx, 5*time.Second)
			_, _ = e.Put(pctx, lease, value) // etcd may be down in these tests
			pcancel()
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
}

// deployment is a Deployment whose pods have no requests.
func deployment(name string, replicas int) string {
	return fmt.Sprintf(`{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":%[1]q},"spec":{"replicas":%[2]d,"selector":{"matchLabels":{"app":%[1]q}},
"template":{"metadata":{"labels":{"app":%[1]q}},"spec":{"terminationGracePeriodSeconds":0,"containers":[{"name":"c","image":"i"}]}}}}`, name, replicas)
}

const (
	pods        = "/api/v1/namespaces/default/pods"
	deployments = "/apis/apps/v1/namespaces/default/deployments"
)

// deploy makes a Deployment and waits until the scheduler has placed its pods.
func deploy(t *testing.T, p *plane, name string, replicas int) {
	t.Helper()
	p.ok("POST", deployments, deployment(name, replicas))
	awaitPods(t, p, name, replicas)
}

// awaitPods waits until exactly n pods of the app exist and all are bound.
func awaitPods(t *testing.T, p *plane, app string, n int) time.Duration {
	t.Helper()
	return eventually(t, fmt.Sprintf("%d pods of %s", n, app), waitTimeout, func() (bool, string) {
		a, err := p.ask("GET", pods+"?labelSelector=app%3D"+app, "", seconds(10))
		if err != nil || a.code != 200 {
			return false, fmt.Sprint(a, err)
		}
		l, placed := parse[objects](t, a.body), 0
		for _, o := range l.Items {
			if o.Spec.NodeName != "" && o.Metadata.DeletionTimestamp == nil {
				placed++
			}
		}
		return placed == n && len(l.Items) == n, fmt.Sprintf("%d, placed %d", len(l.Items), placed)
	})
}

// written is every key that was written after a revision and up to another, but for heartbeats and what tests do.
func (e *etcd) written(after, upTo int64) (keys []string) {
	e.t.Helper()
	for _, c := range e.history("/", after) {
		if c.rev <= upTo && !strings.HasPrefix(c.name, "registry/leases/") && !strings.HasPrefix(c.name, "gantry/election/") && !strings.HasPrefix(c.name, "gantry-faults") {
			keys = append(keys, fmt.Sprintf("%d %s", c.rev, c.name))
		}
	}
	return keys
}

// untouched checks that since a revision no node became NotReady and no pod was evicted.
func untouched(t *testing.T, e *etcd, since int64) {
	t.Helper()
	for _, c := range e.history("/registry/pods/", since) {
		if c.gone {
			t.Errorf("pod %s was deleted at revision %d", c.name, c.rev)
		}
		value := e.get("/registry/pods/"+c.name, clientv3.WithRev(c.rev)).Kvs
		if len(value) > 0 && strings.Contains(string(value[0].Value), "deletionTimestamp") {
			t.Errorf("pod %s was marked for deletion at revision %d", c.name, c.rev)
		}
	}
	for _, c := range e.history("/registry/minions/", since) {
		value := string(e.get("/registry/minions/"+c.name, clientv3.WithRev(c.rev)).Kvs[0].Value)
		if strings.Contains(value, "NodeStatusUnknown") || strings.Contains(value, "node.kubernetes.io/unreachable") {
			t.Errorf("node %s became NotReady at revision %d: %s", c.name, c.rev, value)
		}
	}
}
