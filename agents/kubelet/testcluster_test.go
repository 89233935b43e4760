package kubelet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"
	authenticationv1 "k8s.io/api/authentication/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/internal/daemon"
	"gantry/agents/kubelet/engine"
	"gantry/agents/kubelet/engine/enginetest"
	"gantry/agents/kubelet/node"
	"gantry/agents/kubelet/volumes"
	"gantry/registry"
	"gantry/registry/leaktest"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/schema/coordination"
	"gantry/schema/core"
	"gantry/schema/kinds"
)

const inNamespace = "GANTRY_KUBELET_TEST_NETNS"

// TestMain runs the tests again in a network namespace of their own: the kubelet makes its bridge and links there. The engine is
// reached all the same, by its socket's path.
func TestMain(m *testing.M) {
	if os.Getenv(inNamespace) == "" {
		cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		cmd.Env = append(os.Environ(), inNamespace+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
		if err := cmd.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "running the tests in their own network namespace:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := leaktest.Run(m)
	enginetest.RemoveImage(context.Background(), testImage)
	os.Exit(code)
}

// testImage runs enginetest/pod.
var testImage = fmt.Sprintf("gantry-kubelet-test:%d", os.Getpid())

var buildTestImage = sync.OnceValue(func() error { return enginetest.BuildImage(context.Background(), testImage) })

// gateway is a registry in a gateway's place.
type gateway struct{ *registry.Registry }

func (gateway) Token(context.Context, string, string, *authenticationv1.TokenRequest) (*authenticationv1.TokenRequest, error) {
	return &authenticationv1.TokenRequest{Status: authenticationv1.TokenRequestStatus{
		Token: "a-token", ExpirationTimestamp: metav1.NewTime(time.Now().Add(time.Hour)),
	}}, nil
}

func (gateway) PostPath(context.Context, string, []byte) ([]byte, error) {
	return nil, errors.New("there is no gateway")
}

// testCluster is a cluster of one node: a store in memory, a registry in the gateway's place, a kubelet.
type testCluster struct {
	testing.TB
	api       *registry.Registry
	store     *store.Fake
	docker    *client.Client
	engineAPI engine.API // what the kubelet is given
	node      string
	dataDir   string
	change    func(*Config)    // what the kubelet's configuration has besides
	plugins   []volumes.Plugin // volume sources that the kubelet has besides
	stop      func()
}

// testCIDR is the podCIDR of every test cluster: links are known by pod, so that clusters can share a bridge.
const testCIDR = "10.213.0.0/24"

// testNetwork is the network of all test clusters: one allocates addresses.
var testNetwork = &vethNetwork{}

func newTestCluster(t *testing.T) *testCluster {
	t.Helper()
	t.Parallel()
	if err := buildTestImage(); err != nil {
		t.Fatal(err)
	}
	d, err := engine.Open("")
	if err != nil {
		t.Fatal(err)
	}
	api, etcd := registrytest.New(t)
	r := &testCluster{
		TB: t, api: api, store: etcd, docker: d, engineAPI: d, dataDir: t.TempDir(),
		node: fmt.Sprintf("kt-%d-%s", os.Getpid(), strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))),
	}
	t.Cleanup(func() { r.clean() })
	if _, err := registry.For[*corev1.ConfigMap](api).Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "kube-root-ca.crt"}, Data: map[string]string{"ca.crt": "a-ca"},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := registry.For[*corev1.Node](api).Create(t.Context(), &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: r.node}, Spec: corev1.NodeSpec{PodCIDR: testCIDR, PodCIDRs: []string{testCIDR}},
	}); err != nil {
		t.Fatal(err)
	}
	return r
}

// start runs a kubelet; r.stop ends it, as SIGTERM would.
func (r *testCluster) start() *testCluster {
	r.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	own := registry.New(registry.Config{Store: r.store, Kinds: kinds.New(), Node: r.node, Agent: "kubelet"})
	cfg := Config{
		Registry: own, Gateway: gateway{r.api}, NodeName: r.node, NodeIPs: []netip.Addr{netip.MustParseAddr("192.0.2.1")},
		Network: testNetwork, DataDir: r.dataDir, VolumesDir: filepath.Join(r.dataDir, "volumes"), LogDir: filepath.Join(r.dataDir, "log"), Health: &daemon.Health{}, Log: testLog(r),
	}
	if r.change != nil {
		r.change(&cfg)
	}
	k := newKubelet(cfg, r.engine())
	if len(r.plugins) > 0 {
		k.volumes = k.newVolumes(r.plugins)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := own.Run(ctx); err != nil && ctx.Err() == nil {
			r.Errorf("running the registry: %v", err)
		}
	})
	wg.Go(func() {
		if err := k.run(ctx); err != nil {
			r.Errorf("running the kubelet: %v", err)
		}
	})
	r.stop = func() {
		cancel()
		wg.Wait()
		r.stop = func() {}
	}
	return r
}

// engine is the engine that the kubelet uses.
func (r *testCluster) engine() *engine.Docker {
	return engine.New(r.engineAPI, engine.Config{Node: r.node, DataDir: r.dataDir})
}

func testLog(t testing.TB) *slog.Logger {
	if os.Getenv("GANTRY_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (r *testCluster) clean() {
	if r.stop != nil {
		r.stop()
	}
	if err := r.removeAll(); err != nil {
		r.Errorf("cleaning up: %v", err)
	}
	r.docker.Close()
}

func (r *testCluster) removeAll() error {
	for _, c := range r.containers() {
		if err := r.docker.ContainerRemove(context.Background(), c.ID, container.RemoveOptions{Force: true}); err != nil {
			return err
		}
	}
	return cleanData(context.Background(), r.dataDir)
}

// containers are those that the node made, dead ones too.
func (r *testCluster) containers() []container.Summary {
	r.Helper()
	list, err := r.docker.ContainerList(context.Background(), container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", engine.LabelNode+"="+r.node))})
	if err != nil {
		r.Fatal(err)
	}
	return list
}

// run creates a pod bound to the node; its containers run testdata/pod with args.
func (r *testCluster) run(name string, change func(*corev1.Pod), args ...string) *corev1.Pod {
	r.Helper()
	grace := int64(5)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{
			NodeName: r.node, TerminationGracePeriodSeconds: &grace,
			Containers: []corev1.Container{{Name: "main", Image: testImage, Args: args}},
		},
	}
	if change != nil {
		change(pod)
	}
	made, err := registry.For[*corev1.Pod](r.api).Create(r.Context(), pod)
	if err != nil {
		r.Fatal(err)
	}
	return made
}

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// until waits until a pod is as wanted; nil is passed for a pod that is gone.
func (r *testCluster) until(name, what string, want func(*corev1.Pod) bool) *corev1.Pod {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	var last *corev1.Pod
	ok := false
	if _, err := r.api.Get(ctx, core.Pod, "default", name, ""); errors.Is(err, registry.NotFound) && want(nil) {
		return nil
	}
	_ = r.api.Follow(ctx, core.Pod, func(c registry.Change) {
		if ok || c.New != nil && c.New.Name != name || c.New == nil && c.Old.Name != name {
			return
		}
		last = nil
		if c.New != nil {
			last = c.New.Object().(*corev1.Pod)
		}
		if want(last) {
			ok = true
			cancel()
		}
	})
	if !ok {
		r.Fatalf("pod %s is not %s: %s", name, what, describe(last))
	}
	return last
}

func describe(pod *corev1.Pod) string {
	if pod == nil {
		return "it is gone"
	}
	return fmt.Sprintf("%+v", pod.Status)
}

func (r *testCluster) untilRunning(name string) *corev1.Pod {
	r.Helper()
	return r.until(name, "running and ready", isReady)
}

func isReady(pod *corev1.Pod) bool {
	if pod == nil || pod.Status.Phase != corev1.PodRunning {
		return false
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// untilNodeReady waits until the node is Ready.
func (r *testCluster) untilNodeReady() *corev1.Node {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	var last *corev1.Node
	ready := false
	_ = r.api.Follow(ctx, core.Node, func(c registry.Change) {
		if c.New == nil || ready {
			return
		}
		last = c.New.Object().(*corev1.Node)
		if n := node.Condition(last.Status.Conditions, corev1.NodeReady); n != nil && n.Status == corev1.ConditionTrue {
			ready = true
			cancel()
		}
	})
	if !ready {
		r.Fatalf("the node is not ready: %+v", last)
	}
	return last
}

// untilLease waits for the node's heartbeat.
func (r *testCluster) untilLease() {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	var got *coordinationv1.Lease
	_ = r.api.Follow(ctx, coordination.Lease, func(c registry.Change) {
		if c.New != nil && got == nil {
			got = c.New.Object().(*coordinationv1.Lease)
			cancel()
		}
	})
	if got == nil || got.Namespace != corev1.NamespaceNodeLease || got.Name != r.node || *got.Spec.LeaseDurationSeconds != 40 {
		r.Fatalf("lease: %+v", got)
	}
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// delete deletes a pod as kubectl does.
func (r *testCluster) delete(name string, grace *int64) {
	r.Helper()
	if err := registry.For[*corev1.Pod](r.api).Delete(r.Context(), "default", name, registry.DeleteOptions{GracePeriodSeconds: grace}); err != nil {
		r.Fatal(err)
	}
}

// untilNoContainers waits until the node has none.
func (r *testCluster) untilNoContainers() {
	r.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	changes, errs := r.docker.Events(ctx, eventsOfNode(r.node))
	for len(r.containers()) > 0 {
		select {
		case <-changes:
		case err := <-errs:
			r.Fatal(err)
		case <-deadline.C:
			r.Fatalf("containers are left: %v", names(r.containers()))
		}
	}
}

func names(list []container.Summary) []string {
	all := map[string]bool{}
	for _, c := range list {
		all[c.Names[0]+" "+c.Status] = true
	}
	return slices.Sorted(maps.Keys(all))
}

func quantity(s string) resource.Quantity { return resource.MustParse(s) }

// untilEvent waits for an event of a pod.
func (r *testCluster) untilEvent(pod, reason string) *corev1.Event {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	var got *corev1.Event
	var seen []string
	_ = r.api.Follow(ctx, core.Event, func(c registry.Change) {
		if c.New == nil || got != nil {
			return
		}
		e := c.New.Object().(*corev1.Event)
		seen = append(seen, e.InvolvedObject.Name+" "+e.Reason+": "+e.Message)
		if e.InvolvedObject.Name == pod && e.Reason == reason {
			got = e
			cancel()
		}
	})
	if got == nil {
		r.Fatalf("no event %s of pod %s; there are:\n%s", reason, pod, strings.Join(seen, "\n"))
	}
	return got
}
