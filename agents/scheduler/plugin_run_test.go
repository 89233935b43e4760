package scheduler

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/scheduler/framework"
	"gantry/registry"
)

// devices is the data of a plug-in that gives each pod with the annotation "device" one device of its node.
type devices struct {
	preBind func(ctx context.Context, pod *corev1.Pod) error
	notify  chan string // "<call> <pod>" of every reserve, unreserve and PreBind

	mu      sync.Mutex // guards what follows
	free    map[string]int
	running int // pre-binds
	most    int // pre-binds at a time
}

func newDevices(perNode int, nodes []*corev1.Node, preBind func(context.Context, *corev1.Pod) error) *devices {
	d := &devices{preBind: preBind, free: map[string]int{}, notify: make(chan string, 1000)}
	for _, n := range nodes {
		d.free[n.Name] = perNode
	}
	return d
}

// take changes the number of free devices of a node and returns it.
func (d *devices) take(node string, n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.free[node] -= n
	return d.free[node]
}

func (d *devices) start(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running += n
	d.most = max(d.most, d.running)
}

func (d *devices) row(t *testing.T) framework.Plugin {
	return framework.Plugin{
		Name: "Devices", ClusterWide: true,
		NewData: func(framework.Handle) any { return d },
		Sign:    func(pod *corev1.Pod) any { return pod.Annotations["device"] },
		PreFilter: func(data any, _ *framework.ClusterState, sig *framework.PodSignature) any {
			if sig.Pod.Annotations["device"] == "" {
				return nil
			}
			return data
		},
		Filter: func(_ *framework.PreFilterState, own any, n *framework.NodeInfo) ([]string, bool) {
			if own.(*devices).take(n.Name, 0) <= 0 {
				return []string{"node(s) had no free device"}, true
			}
			return nil, false
		},
		Reserve: func(data any, pod *corev1.Pod, node *corev1.Node) (any, error) {
			if pod.Annotations["device"] == "" {
				return nil, nil
			}
			if data.(*devices).take(node.Name, 1) < 0 {
				t.Errorf("reserve of %s overcommits %s", pod.Name, node.Name)
			}
			d.notify <- "reserve " + pod.Name
			return "device", nil
		},
		Unreserve: func(data any, pod *corev1.Pod, node *corev1.Node, reserved any) {
			if reserved != nil {
				data.(*devices).take(node.Name, -1)
				d.notify <- "unreserve " + pod.Name
			}
		},
		PreBind: func(ctx context.Context, _ any, pod *corev1.Pod, _ *corev1.Node, reserved any) error {
			if reserved != "device" {
				t.Errorf("preBind of %s gets %v", pod.Name, reserved)
			}
			d.start(1)
			defer d.start(-1)
			d.notify <- "preBind " + pod.Name
			return d.preBind(ctx, pod)
		},
	}
}

// awaitCall waits for a call of the plug-in.
func (d *devices) awaitCall(t *testing.T, want string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case got := <-d.notify:
			if got == want {
				return
			}
		case <-deadline:
			t.Fatalf("no %s", want)
		}
	}
}

var withDevice = annotated("device", "yes")

// TestRunReserves: pods whose first pre-bind fails are all bound in the end, no node has more pods than devices, and what failed was unreserved.
func TestRunReserves(t *testing.T) {
	const perNode, pods = 4, 12
	nodes := plainNodes(3)
	var mu sync.Mutex // guards tried
	tried := map[string]bool{}
	second := make(chan struct{}) // closed once two pre-binds run
	var once sync.Once
	running := make(chan struct{}, 1000)
	d := newDevices(perNode, nodes, func(ctx context.Context, pod *corev1.Pod) error {
		if running <- struct{}{}; len(running) >= 2 {
			once.Do(func() { close(second) })
		}
		select {
		case <-second:
		case <-ctx.Done():
			return ctx.Err()
		}
		mu.Lock()
		defer mu.Unlock()
		if !tried[pod.Name] {
			tried[pod.Name] = true
			return errors.New("the device is not ready")
		}
		return nil
	})
	c := newCluster(t)
	for _, n := range nodes {
		c.addNode(t, n)
	}
	names := numbered(pods)
	for _, name := range names {
		c.addPod(t, name, ownedBy("rs"))
		if _, err := c.pods.Modify(t.Context(), "default", name, func(p *corev1.Pod) error { withDevice(p); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	stop := c.scheduleWith(t, "a", with(d.row(t)))
	c.await(t, "bound", hasNode, names...)
	c.awaitEvent(t, "FailedScheduling", "preparing node n")
	stop()
	if d.most < 2 {
		t.Errorf("%d pre-binds ran at a time, want at least 2", d.most)
	}
	for name, free := range d.free {
		if free != 0 {
			t.Errorf("%s has %d free devices after %d pods are bound", name, free, pods)
		}
	}
	all, err := c.pods.CachedList(t.Context(), "default", "")
	if err != nil {
		t.Fatal(err)
	}
	byNode := map[string]int{}
	for _, p := range all {
		byNode[p.Spec.NodeName]++
	}
	for name, n := range byNode {
		if n != perNode {
			t.Errorf("%s has %d pods, want %d", name, n, perNode)
		}
	}
}

// blockingDevices is a cluster with one node and one device, whose pre-bind blocks until its context is done, for pod "slow".
func blockingDevices(t *testing.T) (cluster, *devices, func()) {
	t.Helper()
	c := newCluster(t)
	nodes := plainNodes(1)
	c.addNode(t, nodes[0])
	d := newDevices(1, nodes, func(ctx context.Context, pod *corev1.Pod) error {
		if pod.Name != "slow" {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	})
	stop := c.scheduleWith(t, "a", with(d.row(t)))
	c.addAnnotated(t, "slow")
	d.awaitCall(t, "preBind slow")
	return c, d, stop
}

// addAnnotated creates a pod that wants a device.
func (c cluster) addAnnotated(t *testing.T, name string) {
	t.Helper()
	p := aPod(name, withDevice)
	p.UID = ""
	if _, err := c.pods.Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}

func TestPreBindBlocksNoOtherPod(t *testing.T) {
	c, _, stop := blockingDevices(t)
	c.addPod(t, "plain")
	c.await(t, "bound", hasNode, "plain")
	stop() // ends the pre-bind that blocks
}

func TestPreBindEndsWithItsPod(t *testing.T) {
	c, d, _ := blockingDevices(t)
	c.addAnnotated(t, "next")
	c.await(t, "explained", func(p *corev1.Pod) bool { return len(p.Status.Conditions) > 0 }, "next")
	if err := c.pods.Delete(t.Context(), "default", "slow", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	d.awaitCall(t, "unreserve slow")
	c.await(t, "bound", hasNode, "next")
}

func TestRunUnreservesAfterAFailedBinding(t *testing.T) {
	c, store := newRefusingCluster(t)
	nodes := plainNodes(1)
	c.addNode(t, nodes[0])
	d := newDevices(1, nodes, func(context.Context, *corev1.Pod) error { return nil })
	c.addAnnotated(t, "p")
	store.refuse("pods/default/p")
	c.scheduleWith(t, "a", with(d.row(t)))
	d.awaitCall(t, "reserve p")
	d.awaitCall(t, "unreserve p")
	store.key.Store(nil)
	d.awaitCall(t, "reserve p")
	c.await(t, "bound", hasNode, "p")
}

// TestPreBindsAreBounded: a pod beyond the limit is retried after its back-off.
func TestPreBindsAreBounded(t *testing.T) {
	c := newCluster(t)
	d := newDevices(10, plainNodes(1), func(ctx context.Context, _ *corev1.Pod) error { <-ctx.Done(); return ctx.Err() })
	l := newTestLeader(c, with(d.row(t)))
	l.preBindSlots = make(chan struct{}, 2)
	l.state.setNode("n1", aNode("n1"), start)
	ctx, cancel := context.WithCancel(t.Context())
	for i := range 3 {
		l.state.setPod(aPod(fmt.Sprintf("p%d", i), withDevice), start)
		l.scheduleBatch(ctx, start)
	}
	if p := l.state.pods["default/p2"]; p.subqueue != backoff || p.assumed || d.take("n1", 0) != 8 {
		t.Errorf("the third pod is in subqueue %d, assumed %v; %d devices are free", p.subqueue, p.assumed, d.take("n1", 0))
	}
	cancel()
	l.preBinds.Wait()
	if len(l.preBindSlots) != 0 {
		t.Errorf("%d slots are still taken", len(l.preBindSlots))
	}
}
