package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/vishvananda/netns"
)

// node is one machine of the cluster: a network namespace with a Docker Engine and a gantry of its own. The nodes' namespaces are
// connected with each other and with nothing else.
type node struct {
	name    string
	address string // IPv4
	dir     string // images and containers, kept between runs
	work    string // logs and gantry's data of this run
	engine  *process
	gantry  *process
}

// nodes returns the cluster's nodes: the first has the control plane.
func (r *run) newNodes() []*node {
	var all []*node
	for i := 1; i <= 2; i++ {
		name := fmt.Sprintf("conformance-%d", i)
		all = append(all, &node{name: name, address: fmt.Sprintf("10.99.0.%d", i), dir: filepath.Join(r.bin, name), work: filepath.Join(r.work, name)})
	}
	return all
}

func (n *node) dockerHost() string { return "unix://" + filepath.Join(n.socketDir(), "docker.sock") }
func (n *node) socketDir() string  { return filepath.Join("/run/gantry-conformance", n.name) }
func (n *node) dataDir() string    { return filepath.Join(n.work, "gantry") }
func (n *node) namespace() string  { return filepath.Join("/run/netns", n.name) }

// makeNamespaces makes the nodes' namespaces anew, with a link between the two.
func makeNamespaces(ctx context.Context, a, b *node) error {
	for _, n := range []*node{a, b} {
		if err := removeNamespace(ctx, n); err != nil {
			return err
		}
	}
	for _, args := range [][]string{
		{"netns", "add", a.name},
		{"netns", "add", b.name},
		{"link", "add", "eth0", "netns", a.name, "type", "veth", "peer", "name", "eth0", "netns", b.name},
	} {
		if err := loud(command(ctx, "ip", args...)); err != nil {
			return fmt.Errorf("ip %q: %w", args, err)
		}
	}
	for _, n := range []*node{a, b} {
		for _, args := range [][]string{{"addr", "add", n.address + "/24", "dev", "eth0"}, {"link", "set", "eth0", "up"}, {"link", "set", "lo", "up"}} {
			if err := loud(command(ctx, "ip", append([]string{"-n", n.name}, args...)...)); err != nil {
				return fmt.Errorf("ip %q: %w", args, err)
			}
		}
	}
	return nil
}

func removeNamespace(ctx context.Context, n *node) error {
	if _, err := os.Stat(n.namespace()); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return loud(command(ctx, "ip", "netns", "del", n.name))
}

// command runs a program in the node's network namespace.
func (n *node) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return command(ctx, "nsenter", append([]string{"--net=" + n.namespace(), name}, args...)...)
}

// startEngine starts the node's Docker Engine and waits until it answers. env tells it of the registry.
func (n *node) startEngine(ctx context.Context, env ...string) error {
	for _, dir := range []string{n.dir, n.work, n.socketDir()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	config := filepath.Join(n.work, "docker.json") // the machine's own configuration is another engine's
	if err := os.WriteFile(config, []byte("{}\n"), 0o644); err != nil {
		return err
	}
	c := n.command(context.Background(), "dockerd", "--config-file", config, "--host", n.dockerHost(), "--bridge", "none", "--iptables=false",
		"--data-root", n.dir, "--exec-root", filepath.Join(n.socketDir(), "exec"), "--pidfile", filepath.Join(n.socketDir(), "docker.pid"))
	c.Env = append(c.Env, env...)
	var err error
	if n.engine, err = start(c, filepath.Join(n.work, "docker.log")); err != nil {
		return err
	}
	return n.engine.until(ctx, time.Minute, "the engine to answer", func() bool {
		return command(ctx, "docker", "--host", n.dockerHost(), "version").Run() == nil
	})
}

// startGantry starts gantry with flags of its own.
func (n *node) startGantry(program string, flags ...string) (err error) {
	args := append([]string{"up", "--data-dir", n.dataDir(), "--node-name", n.name, "--node-ip", n.address, "--docker-host", n.dockerHost()}, flags...)
	n.gantry, err = start(n.command(context.Background(), program, args...), filepath.Join(n.work, "gantry.log"))
	return err
}

// stop removes what gantry made, and ends the engine and the namespace. It also ends a half started node.
func (n *node) stop(program string) {
	if n.gantry != nil {
		if err := loud(n.command(context.Background(), program, "down", "--data-dir", n.dataDir())); err != nil {
			say("removing %s: %v", n.name, err)
		}
	}
	if n.engine != nil {
		n.engine.stop()
	}
	if err := removeNamespace(context.Background(), n); err != nil {
		say("removing the namespace of %s: %v", n.name, err)
	}
}

// listen listens at an address of the node.
func (n *node) listen(address string) (l net.Listener, err error) {
	err = n.inside(func() error {
		l, err = net.Listen("tcp", address)
		return err
	})
	return l, err
}

// inside runs f on a thread in the node's network namespace: sockets that it makes belong there for good.
func (n *node) inside(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		handle, err := netns.GetFromPath(n.namespace())
		if err == nil {
			err = netns.Set(handle)
			handle.Close()
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// forward lets node from reach a loopback port of node to at its own loopback.
func forward(from, to *node, port string) (io.Closer, error) {
	address := net.JoinHostPort("127.0.0.1", port)
	l, err := from.listen(address)
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer near.Close()
				var far net.Conn
				if err := to.inside(func() (err error) { far, err = net.Dial("tcp", address); return err }); err != nil {
					return
				}
				defer far.Close()
				go func() {
					_, _ = io.Copy(far, near)
					far.Close()
				}()
				_, _ = io.Copy(near, far)
			}()
		}
	}()
	return l, nil
}

// process is a program that runs in the background.
type process struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
	err   error // once it has ended
}

// start starts c in a session of its own, so that ^C does not reach it, with its output in a file.
func start(c *exec.Cmd, log string) (*process, error) {
	f, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c.Stdout, c.Stderr = f, f
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: c, log: log, ended: make(chan struct{})}
	go func() {
		p.err = c.Wait()
		close(p.ended)
	}()
	return p, nil
}

// until waits for something that the program does.
func (p *process) until(ctx context.Context, limit time.Duration, what string, reached func() bool) error {
	deadline := time.After(limit)
	for !reached() {
		select {
		case <-p.ended:
			return fmt.Errorf("waiting for %s: the program ended, see %s: %v", what, p.log, p.err)
		case <-deadline:
			return fmt.Errorf("waited %s for %s, see %s", limit, what, p.log)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
	return nil
}

func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	<-p.ended
}
