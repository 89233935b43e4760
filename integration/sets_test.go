package integration

import (
	"fmt"
	"strings"
	"testing"
)

// sets are a StatefulSet, a DaemonSet and a ReplicationController.
func sets() string {
	template := func(app string) string {
		return fmt.Sprintf(`
    metadata: {labels: {app: %s}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: c, image: %q, command: [sh, -c, "hostname; exec testpod serve"]}]
`, app, image)
	}
	return `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, annotations: {kubernetes.io/change-cause: begin}}
spec:
  serviceName: db
  replicas: 2
  selector: {matchLabels: {app: db}}
  template:` + template("db") + `---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, annotations: {kubernetes.io/change-cause: begin}}
spec:
  selector: {matchLabels: {app: agent}}
  template:` + template("agent") + `---
apiVersion: v1
kind: ReplicationController
metadata: {name: old}
spec:
  replicas: 2
  template:` + template("old")
}

// TestSets rolls sets out, updates them, and takes that back, as users do.
func TestSets(t *testing.T) {
	c := startCluster(t)
	c.kubectlIn(sets(), "apply", "-f", "-")
	names := func(app, field string) string {
		return c.kubectl("get", "pods", "-l", "app="+app, "--sort-by=.metadata.name", "-o", "jsonpath={.items[*]"+field+"}")
	}
	for _, kind := range []string{"sts/db", "ds/agent"} {
		c.kubectl("rollout", "status", kind, "--timeout=60s")
		c.kubectl("set", "env", kind, "VERSION=2")
		c.kubectl("annotate", kind, "kubernetes.io/change-cause=second", "--overwrite")
		c.kubectl("rollout", "status", kind, "--timeout=60s")
		wants(t, c.kubectl("rollout", "history", kind), "1         begin", "2 ")
		wants(t, c.kubectl("rollout", "history", kind, "--revision=2"), "VERSION:	2")
		c.kubectl("rollout", "undo", kind)
		c.kubectl("rollout", "status", kind, "--timeout=60s")
		wants(t, c.kubectl("rollout", "history", kind), "2 ", "3 ")
	}
	if got := names("db", ".metadata.name"); got != "db-0 db-1" {
		t.Errorf("the set's pods are %s", got)
	}
	if env := names("db", ".spec.containers[0].env") + names("agent", ".spec.containers[0].env"); strings.Contains(env, "VERSION") {
		t.Errorf("after undo env is %s", env)
	}
	wants(t, c.kubectl("logs", "db-1"), "db-1")
	wants(t, c.kubectl("describe", "sts", "db"), "2 desired | 2 total", "Create Pod db-0 in StatefulSet db successful", "2 Running")
	wants(t, c.kubectl("describe", "ds", "agent"), "Desired Number of Nodes Scheduled: 1", "Number of Nodes Scheduled with Available Pods: 1", "Created pod: agent-")
	wants(t, c.kubectl("get", "controllerrevisions"), "statefulset.apps/db", "daemonset.apps/agent")
	if got := names("agent", ".spec.nodeName"); got != c.node {
		t.Errorf("the daemon's pods are on %q", got)
	}
	c.kubectl("scale", "sts/db", "rc/old", "--replicas=1")
	c.kubectl("wait", "--for=delete", "pod/db-1", "--timeout=60s")
	c.kubectl("wait", "--for=jsonpath={.status.readyReplicas}=1", "rc/old", "--timeout=60s")
	c.eventually("the end of the replication controller's second pod", func() (bool, string) {
		text := c.kubectl("describe", "rc", "old")
		return strings.Contains(text, "1 current / 1 desired") && strings.Contains(text, "SuccessfulDelete"), text
	})
	c.kubectl("delete", "sts/db", "ds/agent", "rc/old", "--timeout=60s")
	c.kubectl("wait", "--for=delete", "pods", "-l", "app in (db,agent,old)", "--timeout=60s")
}
