package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// cluster is a cluster of two nodes of this machine.
type cluster struct {
	nodes   []*node
	gantry  string // the program
	closers []io.Closer
}

const etcdPort = "2379"

// kubeconfig is the admin's. Its gateway is reached in the first node's network namespace.
func (c *cluster) kubeconfig() string { return filepath.Join(c.nodes[0].dataDir(), "admin.conf") }

// startCluster starts a cluster and waits until its nodes are ready; stop removes all of it.
func (r *run) startCluster(ctx context.Context) (*cluster, error) {
	c := &cluster{nodes: r.newNodes(), gantry: filepath.Join(r.repo, "bin", "gantry")}
	if err := c.start(ctx, r); err != nil {
		c.stop()
		return nil, err
	}
	return c, nil
}

func (c *cluster) start(ctx context.Context, r *run) error {
	first, second := c.nodes[0], c.nodes[1]
	if err := makeNamespaces(ctx, first, second); err != nil {
		return err
	}
	images, err := r.newRegistry()
	if err != nil {
		return err
	}
	for _, n := range c.nodes {
		l, err := n.listen("127.0.0.1:0")
		if err != nil {
			return err
		}
		c.closers = append(c.closers, l)
		go images.serve(l)
		if err := n.startEngine(ctx, images.engineEnv(l)...); err != nil {
			return err
		}
		if err := r.makeImages(ctx, n); err != nil {
			return err
		}
	}
	if err := images.fill(ctx, first); err != nil {
		return err
	}
	// A test waits 10 minutes for a list to be compacted away: etcd does that at most twice its retention after the list was read.
	if err := first.startGantry(c.gantry, "--etcd-compaction-interval", "3m"); err != nil {
		return err
	}
	if err := c.awaitNodes(ctx, first, 1); err != nil {
		return err
	}
	return c.join(ctx, first, second)
}

// join makes a second node: it has the cluster's authority, and etcd's certificate, which listens on loopback only.
func (c *cluster) join(ctx context.Context, first, second *node) error {
	if err := copyFiles(filepath.Join(first.dataDir(), "pki"), filepath.Join(second.dataDir(), "pki"), "ca.crt", "ca.key", "etcd/ca.crt", "etcd/client.crt", "etcd/client.key"); err != nil {
		return err
	}
	etcd, err := forward(second, first, etcdPort)
	if err != nil {
		return err
	}
	c.closers = append(c.closers, etcd)
	pki := filepath.Join(second.dataDir(), "pki", "etcd")
	if err := second.startGantry(c.gantry, "--agents", "network,proxy,dns,kubelet", "--gateway", "https://"+first.address+":6443",
		"--etcd-servers", "https://127.0.0.1:"+etcdPort, "--etcd-cafile", filepath.Join(pki, "ca.crt"),
		"--etcd-certfile", filepath.Join(pki, "client.crt"), "--etcd-keyfile", filepath.Join(pki, "client.key")); err != nil {
		return err
	}
	return c.awaitNodes(ctx, second, 2)
}

// awaitNodes waits until the cluster has so many nodes, all ready.
func (c *cluster) awaitNodes(ctx context.Context, last *node, count int) error {
	return last.gantry.until(ctx, 2*time.Minute, fmt.Sprintf("%d ready nodes", count), func() bool {
		out, err := c.nodes[0].command(ctx, "kubectl", "--kubeconfig", c.kubeconfig(), "get", "nodes",
			"-o", `jsonpath={range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{end}`).Output()
		ready := ""
		for range count {
			ready += "True"
		}
		return err == nil && string(out) == ready
	})
}

func (c *cluster) stop() {
	for _, n := range slices.Backward(c.nodes) { // the first has the control plane
		n.stop(c.gantry)
	}
	for _, closer := range c.closers {
		closer.Close()
	}
}

func copyFiles(from, to string, names ...string) error {
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, name), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}
