package integration

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestEveryAgentAlone runs a control plane, and each agent of the node as a process, on the control plane's etcd.
func TestEveryAgentAlone(t *testing.T) {
	c := startCluster(t, "--agents", "gateway,scheduler,controllers")
	for _, agent := range []string{"kubelet", "network", "proxy"} { // the kubelet registers the node that the others wait for
		p := startProcess(t, filepath.Join(c.dir, "gantry.log"), "ready", agent,
			"--data-dir", c.dir, "--node-name", c.node, "--etcd-servers", "https://127.0.0.1:2379")
		t.Cleanup(func() { p.end(syscall.SIGTERM) })
	}
	vip := c.deploy("web", 2)
	c.eventually("an answer on the Service's address", func() (bool, string) {
		name, err := get("http://" + vip)
		return strings.HasPrefix(name, "web-"), fmt.Sprint(name, err)
	})
	// The node works without its control plane, and reports to the restarted one.
	c.proc.end(syscall.SIGKILL)
	if _, err := get("http://" + vip); err != nil {
		t.Errorf("without a control plane the address does not answer: %v", err)
	}
	c.start()
	c.kubectl("scale", "deployment", "web", "--replicas", "3")
	c.kubectl("rollout", "status", "deployment", "web", "--timeout=60s")
}

// TestTwoControlPlanes runs two on one etcd: a write to one is visible at the other, and the second leads when the first is killed.
func TestTwoControlPlanes(t *testing.T) {
	a := startCluster(t, "--agents", "gateway,scheduler,controllers")
	b := &Cluster{t: t, dir: t.TempDir(), node: a.node}
	shareAuthority(t, a.dir, b.dir)
	start := func() {
		b.proc = startProcess(t, filepath.Join(b.dir, "gantry.log"), "gantry ready", "up", "--data-dir", b.dir, "--node-name", b.node+"-b",
			"--agents", "gateway,scheduler,controllers", "--secure-port", "7443", "--etcd-servers", "https://127.0.0.1:2379",
			"--etcd-cafile", filepath.Join(a.dir, "pki/etcd/ca.crt"), "--etcd-certfile", filepath.Join(a.dir, "pki/etcd/client.crt"), "--etcd-keyfile", filepath.Join(a.dir, "pki/etcd/client.key"))
	}
	start()
	t.Cleanup(func() { b.proc.end(syscall.SIGTERM) })
	a.kubectl("create", "deployment", "web", "--image", image)
	b.eventually("the pod of a's deployment, at b", func() (bool, string) {
		pods := b.podNames("app=web")
		return len(pods) == 1, fmt.Sprint(pods)
	})
	a.eventually("two addresses of the Service kubernetes", func() (bool, string) {
		addresses := a.kubectl("get", "endpointslices", "kubernetes", "-o", "jsonpath={.endpoints[*].addresses}{.ports[*].port}")
		return addresses != "", addresses
	})
	// Killing a also stops etcd, which a runs. When both are back, b works without a restart.
	a.proc.end(syscall.SIGKILL)
	a.start()
	b.kubectl("scale", "deployment", "web", "--replicas", "2")
	a.waitForPods("app=web", 2)
}

// shareAuthority gives the second control plane the first one's authority and token key, as an admin would copy them.
func shareAuthority(t *testing.T, from, to string) {
	t.Helper()
	run(t, "mkdir", "-m", "0700", filepath.Join(to, "pki"))
	for _, file := range []string{"ca.crt", "ca.key", "sa.key"} {
		run(t, "cp", filepath.Join(from, "pki", file), filepath.Join(to, "pki", file))
	}
}
