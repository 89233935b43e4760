package integration

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// waitTimeout bounds every wait in these tests.
const waitTimeout = 60 * time.Second

// Cluster is a gantry with its own data directory, and kubectl, etcdctl and curl for it.
type Cluster struct {
	t    *testing.T
	dir  string
	node string
	args []string
	proc *process
}

// startCluster runs `gantry up` with args until the test ends, then removes everything with `gantry down` and
// checks that nothing is left.
func startCluster(t *testing.T, args ...string) *Cluster {
	t.Helper()
	name := regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(t.Name()), "-")
	c := &Cluster{t: t, dir: t.TempDir(), node: fmt.Sprintf("%s-%d", name, os.Getpid()), args: args}
	t.Cleanup(c.remove)
	c.start()
	return c
}

// in returns the cluster for a subtest.
func (c *Cluster) in(t *testing.T) *Cluster {
	sub := *c
	sub.t = t
	return &sub
}

func (c *Cluster) start() {
	c.t.Helper()
	args := append([]string{"up", "--data-dir", c.dir, "--node-name", c.node}, c.args...)
	c.proc = startProcess(c.t, filepath.Join(c.dir, "gantry.log"), "gantry ready", args...)
}

func (c *Cluster) remove() {
	if c.t.Failed() {
		c.dump()
	}
	c.proc.end(syscall.SIGTERM)
	if out, err := exec.Command(gantry, "down", "--data-dir", c.dir).CombinedOutput(); err != nil {
		c.t.Errorf("gantry down: %v\n%s", err, out)
	}
	if left := c.containers("-a"); len(left) > 0 {
		c.t.Errorf("gantry down left containers: %v", left)
	}
	if tables := run(c.t, "nft", "list", "tables"); strings.Contains(tables, "gantry") {
		c.t.Errorf("gantry down left tables:\n%s", tables)
	}
	if links := run(c.t, "ip", "-o", "link"); strings.Contains(links, ": gt") || strings.Contains(links, ": gantry") {
		c.t.Errorf("gantry down left links:\n%s", links)
	}
}

// dump logs the objects, the events and the end of the log.
func (c *Cluster) dump() {
	for _, cmd := range [][]string{{"kubectl", "get", "pods,deploy,rs,svc,endpointslices,nodes", "-A", "-o", "wide"}, {"kubectl", "get", "events", "-A"}} {
		out, _ := c.command(cmd[0], cmd[1:]...).CombinedOutput()
		c.t.Logf("%s\n%s", strings.Join(cmd, " "), out)
	}
	log, _ := os.ReadFile(filepath.Join(c.dir, "gantry.log"))
	if n := 12000; len(log) > n {
		log = log[len(log)-n:]
	}
	c.t.Logf("the end of gantry.log:\n%s", log)
}

func (c *Cluster) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+filepath.Join(c.dir, "admin.conf"), "GANTRY_DATA_DIR="+c.dir)
	return cmd
}

// try runs a command in the cluster's environment and returns what it printed.
func (c *Cluster) try(stdin, name string, args ...string) (string, error) {
	cmd := c.command(name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, &out, &errs)
	}
	return out.String() + errs.String(), nil
}

// kubectl runs kubectl, which must succeed.
func (c *Cluster) kubectl(args ...string) string {
	c.t.Helper()
	return c.kubectlIn("", args...)
}

// kubectlIn is kubectl with something on its stdin.
func (c *Cluster) kubectlIn(stdin string, args ...string) string {
	c.t.Helper()
	out, err := c.try(stdin, "kubectl", args...)
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

// kubectlFails runs kubectl, which must fail, and returns its output.
func (c *Cluster) kubectlFails(args ...string) string {
	c.t.Helper()
	out, err := c.try("", "kubectl", args...)
	if err == nil {
		c.t.Fatalf("kubectl %s succeeded: %s", strings.Join(args, " "), out)
	}
	return err.Error()
}

// etcdctl runs etcdctl against the cluster's etcd.
func (c *Cluster) etcdctl(stdin string, args ...string) string {
	c.t.Helper()
	out, err := c.try(stdin, gantry, append([]string{"etcdctl"}, args...)...)
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

// containers lists the cluster's containers; more are arguments of docker ps.
func (c *Cluster) containers(more ...string) []string {
	c.t.Helper()
	args := append([]string{"ps", "-q", "--no-trunc", "--filter", "label=io.gantry.node=" + c.node}, more...)
	return strings.Fields(run(c.t, "docker", args...))
}

// curl sends a request with the admin's certificate and returns status, headers and body.
func (c *Cluster) curl(method, path, body string, header ...string) (int, http.Header, string) {
	c.t.Helper()
	req, err := http.NewRequest(method, "https://127.0.0.1:6443"+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := c.client()
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(text)
}

func (c *Cluster) client() *http.Client {
	c.t.Helper()
	ca, err := os.ReadFile(filepath.Join(c.dir, "pki", "ca.crt"))
	if err != nil {
		c.t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(c.dir, "pki", "admin.crt"), filepath.Join(c.dir, "pki", "admin.key"))
	if err != nil {
		c.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return &http.Client{Timeout: waitTimeout, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}}}
}

// eventually waits until check succeeds; seen describes what it found.
func (c *Cluster) eventually(what string, check func() (ok bool, seen string)) {
	c.t.Helper()
	deadline := time.Now().Add(waitTimeout)
	for {
		ok, seen := check()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("timed out waiting for %s\nlast seen: %s", what, seen)
		}
		<-time.After(50 * time.Millisecond) // there is no signal from other processes to wait on
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// process is a running gantry.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// startProcess starts gantry with args and waits until it prints a line that contains ready.
func startProcess(t *testing.T, logFile, ready string, args ...string) *process {
	t.Helper()
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(gantry, args...), done: make(chan struct{})}
	p.cmd.Stderr = log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	isReady := make(chan struct{})
	go func() {
		defer close(p.done)
		for s := bufio.NewScanner(out); s.Scan(); {
			if strings.Contains(s.Text(), ready) {
				close(isReady)
			}
		}
		_ = p.cmd.Wait() // the exit status does not matter
		log.Close()
	}()
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	select {
	case <-isReady:
	case <-p.done:
		text, _ := os.ReadFile(logFile)
		t.Fatalf("gantry %s ended: %v\n%s", strings.Join(args, " "), p.cmd.ProcessState, text)
	case <-ctx.Done():
		text, _ := os.ReadFile(logFile)
		t.Fatalf("gantry %s was not ready in %s\n%s", strings.Join(args, " "), waitTimeout, text)
	}
	return p
}

// end sends sig and waits for the end of the process.
func (p *process) end(sig syscall.Signal) {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Signal(sig) // it may have ended already
	<-p.done
}
