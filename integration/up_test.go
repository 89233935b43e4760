package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// web is a Deployment with a Service, by TCP and UDP.
func web(name string, replicas int) string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s, labels: {app: %[1]s}}
spec:
  replicas: %[2]d
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - name: web
        image: %[3]s
        command: [testpod, serve]
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: %[1]s}
spec:
  selector: {app: %[1]s}
  ports:
  - {name: http, port: 80, targetPort: http}
  - {name: echo, port: 80, targetPort: 8080, protocol: UDP}
`, name, replicas, image)
}

// pod is a pod that runs a command.
func pod(name string, command ...string) string {
	words, err := json.Marshal(command)
	if err != nil {
		panic(err) // strings always marshal
	}
	return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  containers:
  - {name: main, image: %q, command: %s}
`, name, image, words)
}

func (c *Cluster) deploy(name string, replicas int) (vip string) {
	c.t.Helper()
	c.kubectlIn(web(name, replicas), "apply", "-f", "-")
	c.kubectl("rollout", "status", "deployment", name, "--timeout=60s")
	return c.kubectl("get", "service", name, "-o", "jsonpath={.spec.clusterIP}")
}

func get(url string) (string, error) {
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return strings.TrimSpace(string(text)), err
}

// queryUDP sends a packet and returns the answer.
func queryUDP(addr string) (string, error) {
	conn, err := net.DialTimeout("udp", addr, time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return "", err
	}
	if _, err := conn.Write([]byte("?")); err != nil {
		return "", err
	}
	buf := make([]byte, 100)
	n, err := conn.Read(buf)
	return string(buf[:n]), err
}

func (c *Cluster) podNames(selector string) []string {
	c.t.Helper()
	names := strings.Fields(c.kubectl("get", "pods", "-l", selector, "-o", "jsonpath={.items[*].metadata.name}"))
	slices.Sort(names)
	return names
}

// waitForPods waits until exactly n pods match, and returns their names.
func (c *Cluster) waitForPods(selector string, n int) (names []string) {
	c.t.Helper()
	c.eventually(fmt.Sprintf("%d pods of %s", n, selector), func() (bool, string) {
		names = c.podNames(selector)
		return len(names) == n, fmt.Sprint(names)
	})
	return names
}

// TestServiceReachesEveryPod checks that every pod of a Deployment answers on its Service's address.
func TestServiceReachesEveryPod(t *testing.T) {
	c := startCluster(t)
	vip := c.deploy("web", 3)
	pods := c.podNames("app=web")

	answered := map[string]bool{}
	c.eventually("an answer of each of "+strings.Join(pods, ", "), func() (bool, string) {
		if name, err := get("http://" + vip); err == nil {
			answered[name] = true
		}
		return len(answered) == len(pods), fmt.Sprint(answered)
	})
	c.eventually("an answer by UDP", func() (bool, string) {
		name, err := queryUDP(vip + ":80")
		return slices.Contains(pods, name), fmt.Sprint(name, err)
	})
	inside := c.kubectl("exec", pods[0], "--", "testpod", "get", "http://"+vip+"/")
	if !slices.Contains(pods, strings.TrimSpace(inside)) {
		t.Errorf("a pod's request to the Service got %q", inside)
	}
	// A pod reaches itself by its Service: with one replica the answer is its own.
	c.kubectl("scale", "deployment", "web", "--replicas", "1")
	pods = c.waitForPods("app=web", 1)
	if self := c.kubectl("exec", pods[0], "--", "testpod", "get", "http://"+vip+"/"); strings.TrimSpace(self) != pods[0] {
		t.Errorf("the only pod's request to its Service got %q, want its own name, %s", self, pods[0])
	}
	// Without endpoints the address refuses connections.
	c.kubectl("scale", "deployment", "web", "--replicas", "0")
	c.eventually("a refusal", func() (bool, string) {
		_, err := get("http://" + vip)
		return err != nil && strings.Contains(err.Error(), "refused"), fmt.Sprint(err)
	})
	table := run(t, "nft", "list", "table", "ip", "gantry")
	for _, want := range []string{"map services", "map slots", vip} {
		if !strings.Contains(table, want) {
			t.Errorf("nft list table ip gantry does not show %q:\n%s", want, table)
		}
	}
}

// TestKillAndRestartKeepsContainers kills every agent at once: addresses keep answering, and the next start adopts the running
// containers.
func TestKillAndRestartKeepsContainers(t *testing.T) {
	c := startCluster(t)
	vip := c.deploy("web", 3)
	before := c.containers()
	slices.Sort(before)

	c.proc.end(syscall.SIGKILL)
	for range 20 {
		if _, err := get("http://" + vip); err != nil {
			t.Fatalf("the address stopped answering when gantry was killed: %v", err)
		}
	}
	c.start()
	if _, err := get("http://" + vip); err != nil {
		t.Errorf("the address does not answer after the restart: %v", err)
	}
	// A new pod must be served by the restarted agents, beside the adopted ones.
	c.kubectl("scale", "deployment", "web", "--replicas", "4")
	c.kubectl("rollout", "status", "deployment", "web", "--timeout=60s")
	after := c.containers()
	for _, id := range before {
		if !slices.Contains(after, id) {
			t.Errorf("container %s did not survive the restart", id)
		}
	}
	// The node must not have become NotReady: that would remove every endpoint.
	if events := c.kubectl("get", "events", "-A"); strings.Contains(events, "NodeNotReady") {
		t.Errorf("the restart made the node not ready:\n%s", events)
	}
	if restarts := c.kubectl("get", "pods", "-o", "jsonpath={.items[*].status.containerStatuses[*].restartCount}"); strings.Trim(restarts, "0 ") != "" {
		t.Errorf("restart counts %q, want only zeros", restarts)
	}

	c.proc.end(syscall.SIGTERM)
	if _, err := get("http://" + vip); err != nil {
		t.Errorf("the address stopped answering when gantry was ended: %v", err)
	}
	c.start()
}

// TestWritesWithEtcdctl writes a valid value and one that cannot be read with etcdctl.
func TestWritesWithEtcdctl(t *testing.T) {
	c := startCluster(t)
	c.deploy("web", 1)

	keys := c.etcdctl("", "get", "/registry", "--prefix", "--keys-only")
	for _, want := range []string{"/registry/deployments/default/web", "/registry/services/specs/default/web", "/registry/services/endpoints/default/web", "/registry/minions/" + c.node, "/registry/namespaces/kube-system"} {
		if !strings.Contains(keys, want+"\n") {
			t.Errorf("etcdctl get does not list %s:\n%s", want, keys)
		}
	}
	value := c.etcdctl("", "--data-dir", c.dir, "get", "/registry/deployments/default/web", "--print-value-only")
	var d map[string]any
	if err := json.Unmarshal([]byte(value), &d); err != nil {
		t.Fatalf("a value is not JSON: %v\n%s", err, value)
	}
	if _, stored := d["metadata"].(map[string]any)["resourceVersion"]; stored {
		t.Error("metadata.resourceVersion is stored")
	}
	d["spec"].(map[string]any)["replicas"] = 2
	changed, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	c.etcdctl(string(changed), "put", "/registry/deployments/default/web")
	c.waitForPods("app=web", 2)

	c.etcdctl("rubbish{", "put", "/registry/pods/default/bad")
	if pods := c.podNames("app=web"); len(pods) != 2 {
		t.Errorf("with a bad value among them, pods are %v", pods)
	}
	c.eventually("the quarantine record of the bad key", func() (bool, string) {
		q := c.etcdctl("", "get", "/gantry/quarantine", "--prefix", "--keys-only")
		return strings.Contains(q, "/registry/pods/default/bad"), q
	})
	c.eventually("an event about the bad key", func() (bool, string) {
		ev := c.kubectl("get", "events", "-A")
		return strings.Contains(ev, "/registry/pods/default/bad"), ev
	})
	c.kubectl("scale", "deployment", "web", "--replicas", "3")
	c.kubectl("rollout", "status", "deployment", "web", "--timeout=60s")
	c.kubectl("delete", "pod", "bad", "--ignore-not-found")
	c.eventually("the bad key gone", func() (bool, string) {
		k := c.etcdctl("", "get", "/registry/pods/default/bad", "--keys-only")
		return strings.TrimSpace(k) == "", k
	})
}

// TestPodsReachTheAPI sends requests to the Service kubernetes with a pod's token, authority and environment.
func TestPodsReachTheAPI(t *testing.T) {
	c := startCluster(t)
	c.kubectlIn(pod("client", "sleep", "600"), "apply", "-f", "-")
	c.kubectl("wait", "--for=condition=Ready", "pod/client", "--timeout=60s")
	if out := c.kubectl("exec", "client", "--", "testpod", "api", "/version"); !strings.HasPrefix(out, "200\n") || !strings.Contains(out, `"v1.36`) {
		t.Errorf("/version by a pod's token: %s", out)
	}
	out := c.kubectl("exec", "client", "--", "testpod", "api", "/api/v1/namespaces/default/secrets")
	if want := `secrets is forbidden: User \"system:serviceaccount:default:default\" cannot list resource \"secrets\" in API group \"\" in the namespace \"default\"`; !strings.HasPrefix(out, "403\n") || !strings.Contains(out, want) {
		t.Errorf("secrets by a pod's token: %s\nwant 403 with %s", out, want)
	}
	if out := c.kubectl("exec", "client", "--", "cat", "/var/run/secrets/kubernetes.io/serviceaccount/namespace"); out != "default" {
		t.Errorf("the pod's namespace file contains %q", out)
	}
}

// TestHundredPodsLeaveNothing starts and stops a hundred pods, and checks that containers, links, keys and goroutines are as before.
func TestHundredPodsLeaveNothing(t *testing.T) {
	c := startCluster(t)
	c.deploy("first", 1) // creates what the first pod of a node needs
	links := func() int { return strings.Count(run(t, "ip", "-o", "link"), "\n") }
	goroutines := func() string {
		_, _, text := c.curl("GET", "/metrics", "")
		for line := range strings.Lines(text) {
			if n, ok := strings.CutPrefix(line, "go_goroutines "); ok {
				return strings.TrimSpace(n)
			}
		}
		t.Fatal("/metrics has no go_goroutines")
		return ""
	}
	count := func() (containers, link int, routines int, bynode int) {
		if _, err := fmt.Sscan(goroutines(), &routines); err != nil {
			t.Fatal(err)
		}
		keys := c.etcdctl("", "get", "/gantry/bynode/"+c.node+"/", "--prefix", "--keys-only")
		return len(c.containers("-a")), links(), routines, len(strings.Fields(keys))
	}
	containers, link, routines, bynode := count()

	c.kubectlIn(web("many", 100), "apply", "-f", "-")
	c.kubectl("rollout", "status", "deployment", "many", "--timeout=300s")
	ips := strings.Fields(c.kubectl("get", "pods", "-l", "app=many", "-o", "jsonpath={.items[*].status.podIP}"))
	slices.Sort(ips)
	if n := len(slices.Compact(ips)); n != 100 {
		t.Errorf("100 pods have %d addresses", n)
	}
	c.kubectl("delete", "deployment,service", "many", "--timeout=120s")
	c.kubectl("wait", "--for=delete", "pods", "-l", "app=many", "--timeout=240s")
	c.eventually("the counts from before the hundred pods", func() (bool, string) {
		co, li, ro, by := count()
		return co == containers && li == link && by == bynode && ro <= routines+20, fmt.Sprintf(
			"containers %d, was %d; links %d, was %d; by-node keys %d, was %d; goroutines %d, was %d", co, containers, li, link, by, bynode, ro, routines)
	})
	dirs, err := os.ReadDir(filepath.Join(c.dir, "node", "pods"))
	if err != nil || len(dirs) != 1 {
		t.Errorf("pod directories left: %v, %v; want that of the pod that still runs", dirs, err)
	}
}
