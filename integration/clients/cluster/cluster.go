package cluster

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Timeout bounds every wait of the tests.
const Timeout = time.Minute

// Cluster is a running gantry.
type Cluster struct {
	Dir   string // its data directory
	Node  string // the name of its node
	Image string // of the pods of a whole cluster: testpod, and busybox as a shell
	// Config is the admin's, without a limit of requests.
	Config  *rest.Config
	process *exec.Cmd
	ended   chan struct{}
	stops   []func() // in the order of starting
}

// StartPlane starts gateway, scheduler and controllers, and a node that pretends to run pods: see runNode.
func StartPlane() (*Cluster, error) {
	c, err := start("clients-node", "--agents", "gateway,scheduler,controllers")
	if err != nil {
		return nil, err
	}
	stop, err := c.startNode()
	if err != nil {
		c.Stop()
		return nil, err
	}
	c.stops = append(c.stops, stop)
	return c, nil
}

// StartWhole starts a cluster with a node that runs containers on the machine's Docker Engine, on ports besides those of StartPlane.
func StartWhole() (*Cluster, error) {
	c, err := start(fmt.Sprintf("clients-%d", os.Getpid()), "--secure-port", "7443", "--etcd-port", "3379")
	if err != nil {
		return nil, err
	}
	if err := c.makeImage(); err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

func start(node string, args ...string) (*Cluster, error) {
	dir, err := os.MkdirTemp("", "gantry-clients-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{Dir: dir, Node: node, ended: make(chan struct{})}
	c.stops = append(c.stops, func() { _ = os.RemoveAll(dir) })
	if err := c.run(args); err != nil {
		c.Stop()
		return nil, err
	}
	if c.Config, err = clientcmd.BuildConfigFromFlags("", c.Kubeconfig()); err != nil {
		c.Stop()
		return nil, err
	}
	c.Config.QPS = -1
	return c, nil
}

// run starts the process and waits until it is ready.
func (c *Cluster) run(args []string) error {
	gantry, logFile := Program("gantry"), filepath.Join(c.Dir, "gantry.log")
	log, err := os.Create(logFile)
	if err != nil {
		return err
	}
	c.process = exec.Command(gantry, append([]string{"up", "--data-dir", c.Dir, "--node-name", c.Node}, args...)...)
	c.process.Stderr = log
	c.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := c.process.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.process.Start(); err != nil {
		return err
	}
	ready := make(chan struct{})
	go func() {
		defer close(c.ended)
		for s := bufio.NewScanner(out); s.Scan(); {
			if strings.Contains(s.Text(), "gantry ready") {
				close(ready)
			}
		}
		_ = c.process.Wait() // the exit status does not matter
		_ = log.Close()
	}()
	c.stops = append(c.stops, func() {
		_ = c.process.Process.Signal(syscall.SIGTERM) // it may have ended already
		<-c.ended
		if out, err := exec.Command(gantry, "down", "--data-dir", c.Dir).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "gantry down: %v\n%s", err, out)
		}
	})
	select {
	case <-ready:
		return nil
	case <-c.ended:
	case <-time.After(Timeout):
	}
	text, _ := os.ReadFile(logFile)
	return fmt.Errorf("gantry %s did not become ready\n%s", strings.Join(args, " "), text)
}

// Stop ends everything and removes it.
func (c *Cluster) Stop() {
	for i := len(c.stops) - 1; i >= 0; i-- {
		c.stops[i]()
	}
}

// Kubeconfig is the admin's file.
func (c *Cluster) Kubeconfig() string { return filepath.Join(c.Dir, "admin.conf") }

// KubeconfigIn is a copy of the admin's file with a namespace.
func (c *Cluster) KubeconfigIn(t testing.TB, namespace string) string {
	t.Helper()
	config, err := clientcmd.LoadFromFile(c.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	config.Contexts[config.CurrentContext].Namespace = namespace
	path := filepath.Join(t.TempDir(), "config")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// Log is the end of what gantry wrote.
func (c *Cluster) Log() string {
	text, err := os.ReadFile(filepath.Join(c.Dir, "gantry.log"))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-8000):])
}

// Clientset is client-go's with the admin's certificate.
func (c *Cluster) Clientset(t testing.TB) *kubernetes.Clientset {
	t.Helper()
	set, err := kubernetes.NewForConfig(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// Namespace creates a namespace with a name of the test's own, waits for its service account, and deletes it when the test ends.
func (c *Cluster) Namespace(t testing.TB) string {
	t.Helper()
	return c.namespace(t, c.Clientset(t))
}

// Until waits until check returns "". It returns what it still waits for.
func Until(t testing.TB, check func(ctx context.Context) string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Timeout)
	defer cancel()
	for {
		missing := check(ctx)
		if missing == "" {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("timed out: %s", missing)
		case <-time.After(50 * time.Millisecond): // clients without a watch have no signal to wait on
		}
	}
}
