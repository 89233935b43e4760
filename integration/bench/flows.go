package main

import (
	"fmt"
	"strings"
	"time"
)

// flows are the rows of what controllers and scheduler do from one request on.
var flows = []*row{
	flowRow("deploy-1000", "Deployment from 0 to 1,000 pods bound, 200 nodes", 2000, 2, flow{
		nodes: 200, ops: 1000, begin: makeDeployment(1000, flowTemplate("")), under: flowPods, done: podsBound(1000),
	}),
	flowRow("deploy-3000", "Deployment from 0 to 3,000 pods bound, 1,000 nodes", 6000, 2, flow{
		nodes: 1000, ops: 3000, begin: makeDeployment(3000, flowTemplate("")), under: flowPods, done: podsBound(3000),
	}),
	flowRow("roll-500", "rolling update of 500 pods until all new ones are ready and no old one is left", 500*6, 0, flow{
		nodes: 200, ops: 500, phase: "Running", prepare: runDeployment(500), begin: changeTemplate, under: "/registry/deployments/default/flow", done: rolledOut(500),
	}),
	flowRow("jobs-1000", "1,000 Jobs of one pod until all are complete", 1000*8, 0, flow{
		nodes: 200, ops: 1000, phase: "Succeeded", begin: makeJobs(1000), under: "/registry/jobs/default/", done: jobsSucceeded(1000),
	}),
	flowRow("namespace-5000", "delete of a namespace with 5,000 config maps until it is gone", 5000, 0, flow{
		nodes: 1, ops: 5000, prepare: fillNamespace(5000), begin: deleteNamespace, under: "/registry/namespaces/flow", done: keysDeleted(1),
	}),
	flowRow("garbage-10000", "delete of the owner of 10,000 config maps until all are gone", 10000, 0, flow{
		nodes: 1, ops: 10000, prepare: makeDependents(10000), begin: deleteOwner, under: "/registry/configmaps/flow/", done: keysDeleted(10001),
	}),
	flowRow("schedule-5000", "5,000 pods with affinity and spreading bound, 1,000 nodes", 10000, 0, flow{
		nodes: 1000, ops: 5000, begin: makeDeployment(5000, flowTemplate(affinityAndSpreading)), under: flowPods, done: podsBound(5000),
	}),
}

// flowRow is a flow's row, of time on the clock; its floor is so many raw compare-and-puts of 3 KiB in process.
func flowRow(name, doc string, writes int, within float64, f flow) *row {
	return &row{
		name: "flow-" + name, doc: doc, once: true, named: true, repeat: 3, within: within,
		by:    func(m measurement) time.Duration { return m.elapsed },
		floor: func(b *bench) (measurement, error) { return b.rawWrites(writes) },
		run:   f.run,
	}
}

const (
	flowPods    = "/registry/pods/default/"
	deployments = "/apis/apps/v1/namespaces/default/deployments"
	flowMaps    = "/api/v1/namespaces/flow/configmaps"
)

// flowTemplate is a pod template; more is put into its spec.
func flowTemplate(more string) string {
	return `{"metadata":{"labels":{"app":"flow"}},"spec":{"terminationGracePeriodSeconds":1,` + more +
		`"containers":[{"name":"main","image":"none","resources":{"requests":{"cpu":"10m","memory":"16Mi"}}}]}}`
}

const affinityAndSpreading = `"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[` +
	`{"key":"kubernetes.io/os","operator":"In","values":["linux"]}]}]}},` +
	`"podAntiAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[{"weight":1,"podAffinityTerm":{"topologyKey":"kubernetes.io/hostname","labelSelector":{"matchLabels":{"app":"flow"}}}}]}},` +
	`"topologySpreadConstraints":[{"maxSkew":1,"topologyKey":"topology.kubernetes.io/zone","whenUnsatisfiable":"DoNotSchedule","labelSelector":{"matchLabels":{"app":"flow"}}}],`

func makeDeployment(replicas int, template string) func(*flowCluster) error {
	return func(c *flowCluster) error {
		return c.post(c.pool[0], deployments, fmt.Appendf(nil, `{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"flow"},`+
			`"spec":{"replicas":%d,"selector":{"matchLabels":{"app":"flow"}},"template":%s}}`, replicas, template))
	}
}

// runDeployment makes a Deployment and waits until its pods are available.
func runDeployment(replicas int) func(*flowCluster) error {
	return func(c *flowCluster) error {
		if err := makeDeployment(replicas, flowTemplate(""))(c); err != nil {
			return err
		}
		for end := time.Now().Add(flowPatience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			res, err := c.pool[0].want(200, &request{method: "GET", path: deployments + "/flow", keep: true})
			if err != nil || headOf(res.body).Status.AvailableReplicas == replicas {
				return err
			}
		}
		return fmt.Errorf("the deployment's %d pods did not become available", replicas)
	}
}

func changeTemplate(c *flowCluster) error {
	_, err := c.pool[0].want(200, &request{method: "PATCH", path: deployments + "/flow", contentType: "application/merge-patch+json",
		body: []byte(`{"spec":{"template":{"metadata":{"annotations":{"turn":"2"}}}}}`)})
	return err
}

// rolledOut is done when a Deployment of so many replicas has no old pod and no unavailable one.
func rolledOut(replicas int) func() func(string, []byte) bool {
	return func() func(string, []byte) bool {
		return func(_ string, value []byte) bool {
			h := headOf(value)
			s := h.Status
			return s.ObservedGeneration == h.Metadata.Generation && s.UpdatedReplicas == replicas && s.Replicas == replicas && s.AvailableReplicas == replicas
		}
	}
}

func makeJobs(n int) func(*flowCluster) error {
	return func(c *flowCluster) error {
		template := strings.Replace(flowTemplate(`"restartPolicy":"Never",`), `"labels":{"app":"flow"}`, "", 1)
		return c.inParallel(n, func(conn *h2, i int) error {
			return c.post(conn, "/apis/batch/v1/namespaces/default/jobs", fmt.Appendf(nil,
				`{"kind":"Job","apiVersion":"batch/v1","metadata":{"name":"flow-%d"},"spec":{"template":%s}}`, i, template))
		})
	}
}

// podsBound is done when so many pods are bound.
func podsBound(n int) func() func(string, []byte) bool {
	return countKeys(n, func(value []byte) bool { return headOf(value).Spec.NodeName != "" })
}

func jobsSucceeded(n int) func() func(string, []byte) bool {
	return countKeys(n, func(value []byte) bool { return headOf(value).Status.CompletionTime != "" })
}

func keysDeleted(n int) func() func(string, []byte) bool {
	return countKeys(n, func(value []byte) bool { return value == nil })
}

// countKeys is done when values of so many keys have been as wanted.
func countKeys(n int, want func(value []byte) bool) func() func(string, []byte) bool {
	return func() func(string, []byte) bool {
		seen := make(map[string]bool, n)
		return func(key string, value []byte) bool {
			if !seen[key] && want(value) {
				seen[key] = true
			}
			return len(seen) == n
		}
	}
}

func makeNamespace(c *flowCluster) error {
	if err := c.post(c.pool[0], "/api/v1/namespaces", []byte(`{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"flow"}}`)); err != nil {
		return err
	}
	return nil
}

func fillNamespace(n int) func(*flowCluster) error {
	return func(c *flowCluster) error {
		if err := makeNamespace(c); err != nil {
			return err
		}
		return c.inParallel(n, func(conn *h2, i int) error { return c.post(conn, flowMaps, flowMap(i, "")) })
	}
}

// flowMap is a config map of 1 KB; references are its ownerReferences.
func flowMap(i int, references string) []byte {
	return fmt.Appendf(nil, `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"flow-%d"%s},"data":{"text":%q}}`, i, references, strings.Repeat("0123456789abcdef", 50))
}

func deleteNamespace(c *flowCluster) error {
	_, err := c.pool[0].want(200, &request{method: "DELETE", path: "/api/v1/namespaces/flow"})
	return err
}

func makeDependents(n int) func(*flowCluster) error {
	return func(c *flowCluster) error {
		if err := makeNamespace(c); err != nil {
			return err
		}
		res, err := c.pool[0].want(201, &request{method: "POST", path: flowMaps, contentType: "application/json", keep: true,
			body: []byte(`{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"owner"}}`)})
		if err != nil {
			return err
		}
		references := fmt.Sprintf(`,"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"owner","uid":%q}]`, headOf(res.body).Metadata.UID)
		return c.inParallel(n, func(conn *h2, i int) error { return c.post(conn, flowMaps, flowMap(i, references)) })
	}
}

func deleteOwner(c *flowCluster) error {
	_, err := c.pool[0].want(200, &request{method: "DELETE", path: flowMaps + "/owner"})
	return err
}
