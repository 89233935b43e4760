package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// database is a StatefulSet whose pods write their name into a volume of their own when they start, as a user that is not root.
func database() string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 2
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 1
      securityContext: {runAsUser: 1000, fsGroup: 2000}
      containers:
      - name: c
        image: %q
        command: [sh, -c, "echo start of $(hostname) >> /data/log; exec testpod serve"]
        volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
`, image)
}

// TestVolumes: a set's data outlives its pods, a restart of everything and a scale down, and goes with the claim.
func TestVolumes(t *testing.T) {
	c := startCluster(t)
	wants(t, c.kubectl("get", "storageclass"), "local (default)", "gantry.io/local", "WaitForFirstConsumer")
	c.kubectlIn(database(), "apply", "-f", "-")
	ready := func() { c.kubectl("rollout", "status", "sts/db", "--timeout=60s") }
	ready()
	starts := func(pod string, want int) {
		t.Helper()
		if log := c.kubectl("exec", pod, "--", "cat", "/data/log"); log != strings.Repeat("start of "+pod+"\n", want) {
			t.Errorf("%s should have started %d times with its volume, which has\n%s", pod, want, log)
		}
	}
	directory := func(claim string) string {
		return c.kubectl("get", "pv", c.kubectl("get", "pvc", claim, "-o", "jsonpath={.spec.volumeName}"), "-o", "jsonpath={.spec.local.path}")
	}
	dir := directory("data-db-0")
	if text, err := os.ReadFile(filepath.Join(dir, "log")); err != nil || string(text) != "start of db-0\n" || filepath.Dir(dir) != filepath.Join(c.dir, "volumes") {
		t.Errorf("on the node %s has %q, %v", dir, text, err)
	}
	wants(t, c.kubectl("describe", "pvc", "data-db-0"), "ProvisioningSucceeded", "Used By:       db-0")

	c.kubectl("delete", "pod", "db-0", "db-1")
	ready()
	starts("db-0", 2)
	starts("db-1", 2)

	c.proc.end(syscall.SIGTERM)
	c.start()
	c.kubectl("wait", "--for=condition=Ready", "pod/db-0", "pod/db-1", "--timeout=60s")
	starts("db-0", 2)

	c.kubectl("scale", "sts/db", "--replicas=1")
	c.kubectl("wait", "--for=delete", "pod/db-1", "--timeout=60s")
	c.kubectl("scale", "sts/db", "--replicas=2")
	ready()
	starts("db-1", 3)

	c.kubectl("delete", "pvc", "data-db-0", "--wait=false")
	wants(t, c.kubectl("get", "pvc", "data-db-0"), "Terminating")
	starts("db-0", 2) // a claim goes after its pod
	c.kubectl("delete", "sts/db")
	c.kubectl("wait", "--for=delete", "pvc/data-db-0", "--timeout=60s")
	c.eventually("the end of the deleted claim's directory", func() (bool, string) {
		_, err := os.Stat(dir)
		return os.IsNotExist(err), fmt.Sprint(err)
	})
	kept := directory("data-db-1")
	if _, err := os.Stat(filepath.Join(kept, "log")); err != nil {
		t.Errorf("the other claim's data is gone: %v", err)
	}
	c.eventually("the end of the deleted claim's volume", func() (bool, string) {
		text := c.kubectl("get", "pv", "--no-headers")
		return strings.Count(text, "\n") == 1 && strings.Contains(text, filepath.Base(kept)), text
	})
}
