package integration

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// hostPortPod is a pod that answers on ports of the host, by TCP and UDP.
func hostPortPod(name string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %[1]s}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: web
    image: %[2]s
    command: [testpod, serve]
    ports:
    - {name: http, containerPort: 8080, hostPort: 18080}
    - {name: echo, containerPort: 8080, hostPort: 18080, protocol: UDP}
`, name, image)
}

// TestHostPort checks that a host port answers on the node's address, moves to the next pod, works over a restart of gantry, and refuses
// connections when no pod has it.
func TestHostPort(t *testing.T) {
	c := startCluster(t)
	const at = nodeIP + ":18080"
	c.kubectlIn(pod("client", "sleep", "1000")+"---"+hostPortPod("first"), "apply", "-f", "-")
	c.kubectl("wait", "--for=condition=Ready", "pod/client", "pod/first", "--timeout=60s")

	answersAs := func(name string) {
		t.Helper()
		c.eventually(name+"'s answer to the host", func() (bool, string) {
			got, err := get("http://" + at)
			return got == name, fmt.Sprint(got, err)
		})
		c.eventually(name+"'s answer by UDP", func() (bool, string) {
			got, err := queryUDP(at)
			return got == name, fmt.Sprint(got, err)
		})
		for _, from := range []string{"client", name} { // a pod reaches its own host port too
			if got := c.kubectl("exec", from, "--", "testpod", "get", "http://"+at+"/"); strings.TrimSpace(got) != name {
				t.Errorf("pod %s asked %s and got %q, want %s", from, at, got, name)
			}
		}
	}
	refuses := func() {
		t.Helper()
		c.eventually("a refusal", func() (bool, string) {
			_, err := get("http://" + at)
			return errors.Is(err, syscall.ECONNREFUSED), fmt.Sprint(err)
		})
		if out := c.kubectlFails("exec", "client", "--", "testpod", "get", "http://"+at+"/"); !strings.Contains(out, "refused") {
			t.Errorf("a pod's request to a host port that no pod has: %s", out)
		}
		if _, err := queryUDP(at); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a UDP packet to a host port that no pod has: %v, want refused", err)
		}
	}
	answersAs("first")
	// The node has the port once: the second pod stays pending.
	c.kubectlIn(hostPortPod("second"), "apply", "-f", "-")
	c.eventually("the reason why the second pod is pending", func() (bool, string) {
		why := c.kubectl("get", "pod", "second", "-o", "jsonpath={.status.conditions[?(@.type=='PodScheduled')].message}")
		return strings.Contains(why, "free ports"), why
	})
	c.kubectl("delete", "pod", "first")
	c.kubectl("wait", "--for=condition=Ready", "pod/second", "--timeout=60s")
	answersAs("second")

	c.proc.end(syscall.SIGKILL)
	if got, err := get("http://" + at); got != "second" {
		t.Errorf("without gantry the host port answers %q (%v), want second", got, err)
	}
	c.start()
	answersAs("second")

	c.kubectl("delete", "pod", "second")
	refuses()
}
