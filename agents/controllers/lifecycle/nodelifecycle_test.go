package lifecycle_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers"
	"gantry/agents/controllers/controller"
	"gantry/agents/controllers/controllertest"
	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/schema/kinds"
)

// bubble is a cluster in a synctest bubble: nodes n1..nN with heartbeats that can be stopped.
type bubble struct {
	t     *testing.T
	r     *registry.Registry
	store *store.Fake
	stop  map[string]context.CancelFunc
}

func inBubble(t *testing.T, nodes int, story func(b *bubble)) {
	synctest.Test(t, func(t *testing.T) {
		registrytest.DetectMutations(t)
		ctx, cancel := context.WithCancel(t.Context())
		fake := store.NewFake()
		b := &bubble{t: t, store: fake, stop: map[string]context.CancelFunc{},
			r: registry.New(registry.Config{Store: fake, Kinds: kinds.New(), Log: slog.New(slog.DiscardHandler)})}
		cfg := controllertest.Config(t, b.r)
		cfg.Controllers = []string{"namespace", "serviceaccount", "nodelifecycle", "taint"}
		done := make(chan error, 2+nodes)
		go func() { done <- b.r.Run(ctx) }()
		go func() { done <- controllers.Run(ctx, cfg) }()
		time.Sleep(time.Second) // of the bubble
		for i := range nodes {
			name := fmt.Sprint("n", i+1)
			node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
			b.must(registry.For[*corev1.Node](b.r).Create(ctx, node))
			b.must(registry.For[*corev1.Node](b.r).ModifyStatus(ctx, "", name, func(n *corev1.Node) error {
				n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", LastHeartbeatTime: metav1.Now()}}
				return nil
			}))
			beat, stop := context.WithCancel(ctx)
			b.stop[name] = stop
			go func() { done <- b.beat(beat, name) }()
		}
		story(b)
		cancel()
		for range 2 + nodes {
			<-done
		}
		time.Sleep(time.Second) // the work queues notice their end by a tick
	})
}

func (b *bubble) must(_ any, err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// beat renews a node's lease every ten seconds.
func (b *bubble) beat(ctx context.Context, name string) error {
	leases := registry.For[*coordinationv1.Lease](b.r)
	_, _ = leases.Create(ctx, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: name}})
	for ctx.Err() == nil {
		_, _ = leases.Modify(ctx, corev1.NamespaceNodeLease, name, func(l *coordinationv1.Lease) error {
			at := metav1.NowMicro()
			l.Spec.RenewTime = &at
			return nil
		})
		select {
		case <-time.After(10 * time.Second):
		case <-ctx.Done():
		}
	}
	return nil
}

func (b *bubble) pod(name, node string) {
	b.t.Helper()
	five := int64(300)
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "c", Image: "web:1"}},
		Tolerations: []corev1.Toleration{{Key: corev1.TaintNodeUnreachable, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &five}}}}
	b.must(registry.For[*corev1.Pod](b.r).Create(b.t.Context(), p))
	b.must(registry.For[*corev1.Pod](b.r).ModifyStatus(b.t.Context(), "default", name, func(p *corev1.Pod) error {
		p.Status.Phase = corev1.PodRunning
		controller.SetPodCondition(p, corev1.PodReady, corev1.ConditionTrue, "", "", time.Now())
		return nil
	}))
}

func (b *bubble) node(name string) *corev1.Node {
	b.t.Helper()
	n, err := registry.For[*corev1.Node](b.r).Get(b.t.Context(), "", name)
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

func (b *bubble) getPod(name string) *corev1.Pod {
	b.t.Helper()
	p, err := registry.For[*corev1.Pod](b.r).Get(b.t.Context(), "default", name)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

func TestNodeThatFallsSilent(t *testing.T) {
	inBubble(t, 3, func(b *bubble) {
		b.pod("web", "n1")
		time.Sleep(3 * time.Minute)
		if n := b.node("n1"); !readyNode(n) || len(n.Spec.Taints) > 0 {
			t.Fatalf("a node with a heartbeat has Ready %v and taints %v", readyNode(n), taintsOf(n))
		}
		b.stop["n1"]()
		time.Sleep(39 * time.Second) // the last beat was up to 10 s ago
		if !readyNode(b.node("n1")) {
			t.Fatal("the node is not ready before the grace period is over")
		}
		time.Sleep(15 * time.Second)
		if diff := cmp.Diff([]string{"unreachable:NoExecute", "unreachable:NoSchedule"}, taintsOf(b.node("n1"))); diff != "" {
			t.Fatalf("taints (-want +got):\n%s", diff)
		}
		if readyPod(b.getPod("web")) {
			t.Error("a pod of a silent node is ready")
		}
		time.Sleep(4 * time.Minute)
		if b.getPod("web").DeletionTimestamp != nil {
			t.Fatal("the pod is evicted before its five minutes are over")
		}
		time.Sleep(90 * time.Second)
		if b.getPod("web").DeletionTimestamp == nil {
			t.Fatal("the pod is not evicted after five minutes")
		}
		if !readyNode(b.node("n2")) {
			t.Error("another node is not ready")
		}
	})
}

func TestNoNodeIsEmptiedWhenAllAreSilent(t *testing.T) {
	inBubble(t, 2, func(b *bubble) {
		b.pod("web", "n1")
		time.Sleep(time.Minute)
		b.stop["n1"]()
		b.stop["n2"]()
		time.Sleep(20 * time.Minute)
		if diff := cmp.Diff([]string{"unreachable:NoSchedule"}, taintsOf(b.node("n1"))); diff != "" {
			t.Errorf("taints (-want +got):\n%s", diff)
		}
		if b.getPod("web").DeletionTimestamp != nil {
			t.Error("a pod is evicted although no node is ready")
		}
	})
}

func TestStoreAwayIsNotNodesSilent(t *testing.T) {
	inBubble(t, 2, func(b *bubble) {
		for away := 45 * time.Second; away < 3*time.Minute; away = away * 21 / 20 {
			time.Sleep(time.Minute)
			b.store.Fail(&store.Error{Kind: store.Unavailable, Reason: "etcd"})
			time.Sleep(away)
			b.store.Fail(nil)
			for range 60 {
				time.Sleep(time.Second)
				for _, name := range []string{"n1", "n2"} {
					if n := b.node(name); !readyNode(n) || len(n.Spec.Taints) > 0 {
						t.Fatalf("after the store was away for %s node %s has Ready %v and taints %v", away, name, readyNode(n), taintsOf(n))
					}
				}
			}
		}
	})
}

func readyNode(n *corev1.Node) bool {
	return slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

func readyPod(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// taintsOf are a node's taints as short texts, sorted.
func taintsOf(n *corev1.Node) (out []string) {
	for _, t := range n.Spec.Taints {
		out = append(out, strings.TrimPrefix(t.Key, "node.kubernetes.io/")+":"+string(t.Effect))
	}
	slices.Sort(out)
	return out
}
