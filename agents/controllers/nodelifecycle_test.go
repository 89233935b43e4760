package controllers

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
	"k8s.io/apimachinery/pkg/types"

	"gantry/agents/internal/daemon"
	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/schema/kinds"
)

func makeNode(name string, status corev1.ConditionStatus, change ...func(*corev1.Node)) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name)}}
	if status != "" {
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status}}
	}
	for _, f := range change {
		f(n)
	}
	return n
}

func taintTexts(n *corev1.Node) (out []string) {
	for _, t := range n.Spec.Taints {
		out = append(out, strings.TrimPrefix(t.Key, "node.kubernetes.io/")+":"+string(t.Effect))
	}
	slices.Sort(out)
	return out
}

func TestNodeTaints(t *testing.T) {
	pressure := func(n *corev1.Node) {
		n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionTrue})
	}
	cordoned := func(n *corev1.Node) { n.Spec.Unschedulable = true }
	tainted := func(key string, effect corev1.TaintEffect) func(*corev1.Node) {
		return func(n *corev1.Node) { n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: key, Effect: effect}) }
	}
	tests := []struct {
		name  string
		node  *corev1.Node
		evict bool
		want  []string
	}{
		{"ready", makeNode("a", corev1.ConditionTrue), true, nil},
		{"ready again", makeNode("a", corev1.ConditionTrue, tainted(corev1.TaintNodeNotReady, corev1.TaintEffectNoSchedule), tainted(corev1.TaintNodeUnreachable, corev1.TaintEffectNoExecute)), true, nil},
		{"not ready", makeNode("a", corev1.ConditionFalse), true, []string{"not-ready:NoExecute", "not-ready:NoSchedule"}},
		{"not ready, braked", makeNode("a", corev1.ConditionFalse), false, []string{"not-ready:NoSchedule"}},
		{"not posted yet", makeNode("a", ""), false, []string{"not-ready:NoSchedule"}},
		{"unreachable after not ready", makeNode("a", corev1.ConditionUnknown, tainted(corev1.TaintNodeNotReady, corev1.TaintEffectNoExecute)), true, []string{"unreachable:NoExecute", "unreachable:NoSchedule"}},
		{"memory pressure", makeNode("a", corev1.ConditionTrue, pressure), true, []string{"memory-pressure:NoSchedule"}},
		{"cordoned", makeNode("a", corev1.ConditionTrue, cordoned), true, []string{"unschedulable:NoSchedule"}},
		{"others' taints stay", makeNode("a", corev1.ConditionTrue, tainted("gpu", corev1.TaintEffectNoSchedule), tainted("node.kubernetes.io/not-ready", corev1.TaintEffectPreferNoSchedule)), true, []string{"gpu:NoSchedule", "not-ready:PreferNoSchedule"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := tt.node.DeepCopy()
			for _, a := range planNode(tt.node, false, tt.evict, now) {
				n = a.obj.(*corev1.Node)
			}
			if diff := cmp.Diff(tt.want, taintTexts(n)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if again := planNode(n, false, tt.evict, now); len(again) > 0 {
				t.Errorf("nothing changed, and the plan is %v", again)
			}
		})
	}
}

func TestSilentNode(t *testing.T) {
	plan := planNode(makeNode("a", corev1.ConditionTrue), true, false, now)
	n := plan[len(plan)-1].obj.(*corev1.Node)
	if c := nodeCondition(n, corev1.NodeReady); c.Status != corev1.ConditionUnknown || c.Reason != "NodeStatusUnknown" || c.Message != "Kubelet stopped posting node status." {
		t.Errorf("Ready is %v", c)
	}
	if c := nodeCondition(n, corev1.NodeDiskPressure); c == nil || c.Reason != "NodeStatusNeverUpdated" {
		t.Errorf("DiskPressure is %v, want NodeStatusNeverUpdated", c)
	}
	if plan[0].event == nil || plan[0].event.reason != "NodeNotReady" {
		t.Errorf("event %v, want NodeNotReady", plan[0].event)
	}
	if again := planNode(n, true, false, now); len(again) > 0 {
		t.Errorf("nothing changed, and the plan is %v", again)
	}
}

func TestBrakes(t *testing.T) {
	nodes := func(ready, down int, zone string) (out []*corev1.Node) {
		in := func(n *corev1.Node) { n.Labels = map[string]string{corev1.LabelTopologyZone: zone} }
		for i := range ready {
			out = append(out, makeNode(fmt.Sprint(zone, "r", i), corev1.ConditionTrue, in))
		}
		for i := range down {
			out = append(out, makeNode(fmt.Sprint(zone, "d", i), corev1.ConditionUnknown, in))
		}
		return out
	}
	tests := []struct {
		name string
		all  []*corev1.Node
		want float64
	}{
		{"one of many", nodes(5, 1, "a"), 0.1},
		{"one of two", nodes(1, 1, "a"), 0.1},
		{"the only node", nodes(0, 1, "a"), -1},
		{"every node", append(nodes(0, 3, "a"), nodes(0, 3, "b")...), -1},
		{"most of a small cluster", nodes(2, 3, "a"), 0},
		{"most of a zone of a large cluster", append(nodes(2, 3, "a"), nodes(60, 0, "b")...), 0.01},
		{"a whole zone", append(nodes(0, 3, "a"), nodes(3, 0, "b")...), 0.1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			suspect := tt.all[slices.IndexFunc(tt.all, func(n *corev1.Node) bool { return !nodeReady(n) })]
			if got := zoneLimit(zoneOf(suspect), suspect.Name, tt.all); float64(got) != tt.want {
				t.Errorf("limit %v, want %v", got, tt.want)
			}
		})
	}
}

func TestEvictionPlans(t *testing.T) {
	seconds := func(s int64) *int64 { return &s }
	tolerating := func(ts ...corev1.Toleration) podOption {
		return func(p *corev1.Pod) { p.Spec.Tolerations = ts }
	}
	exists := func(key string, s *int64) corev1.Toleration {
		return corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: s}
	}
	unreachable := []corev1.Taint{{Key: corev1.TaintNodeUnreachable, Effect: corev1.TaintEffectNoExecute}}
	tests := []struct {
		name    string
		pod     *corev1.Pod
		evicted bool
		after   time.Duration
	}{
		{"tolerates nothing", makePod("a"), true, 0},
		{"tolerates for ever", makePod("a", tolerating(exists("", nil))), false, 0},
		{"tolerates five minutes", makePod("a", tolerating(exists(corev1.TaintNodeUnreachable, seconds(300)))), false, 200 * time.Second},
		{"tolerated long enough", makePod("a", tolerating(exists(corev1.TaintNodeUnreachable, seconds(100)))), true, 0},
		{"the shortest counts", makePod("a", tolerating(exists("", nil), exists(corev1.TaintNodeUnreachable, seconds(150)))), false, 50 * time.Second},
		{"another taint", makePod("a", tolerating(exists(corev1.TaintNodeNotReady, nil))), true, 0},
		{"no time at all", makePod("a", tolerating(exists("", seconds(-5)))), true, 0},
		{"going already", makePod("a", deleting), false, 0},
		{"ended", makePod("a", phase(corev1.PodSucceeded)), false, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			since := &tainted{taints: map[string]time.Time{corev1.TaintNodeUnreachable: now.Add(-100 * time.Second)}, pods: map[types.UID]time.Time{}}
			plan, after := planEviction(unreachable, []*corev1.Pod{tt.pod}, since, now)
			if got := len(plan) > 0; got != tt.evicted || after != tt.after {
				t.Errorf("evicted %v, again after %s, want %v, %s", got, after, tt.evicted, tt.after)
			}
		})
	}
}

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
		etcd := store.NewFake()
		b := &bubble{t: t, store: etcd, stop: map[string]context.CancelFunc{},
			r: registry.New(registry.Config{Store: etcd, Kinds: kinds.All, Log: slog.New(slog.DiscardHandler)})}
		cfg := Config{Registry: b.r, Identity: "test", Health: &daemon.Health{}, Log: slog.New(slog.DiscardHandler),
			Controllers: []string{"namespace", "serviceaccount", "nodelifecycle", "taint"}}.withDefaults()
		done := make(chan error, 2+nodes)
		go func() { done <- b.r.Run(ctx) }()
		go func() { done <- lead(ctx, cfg, b.r, cfg.Log) }()
		time.Sleep(time.Second) // of the bubble
		for i := range nodes {
			name := fmt.Sprint("n", i+1)
			node := makeNode(name, "")
			node.UID = ""
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
		setReady(p, corev1.ConditionTrue, time.Now())
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
		if n := b.node("n1"); !nodeReady(n) || len(n.Spec.Taints) > 0 {
			t.Fatalf("a node with a heartbeat has Ready %v and taints %v", nodeReady(n), taintTexts(n))
		}
		b.stop["n1"]()
		time.Sleep(39 * time.Second) // the last beat was up to 10 s ago
		if !nodeReady(b.node("n1")) {
			t.Fatal("the node is not ready before the grace period is over")
		}
		time.Sleep(15 * time.Second)
		if diff := cmp.Diff([]string{"unreachable:NoExecute", "unreachable:NoSchedule"}, taintTexts(b.node("n1"))); diff != "" {
			t.Fatalf("taints (-want +got):\n%s", diff)
		}
		if isReady(b.getPod("web")) {
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
		if !nodeReady(b.node("n2")) {
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
		if diff := cmp.Diff([]string{"unreachable:NoSchedule"}, taintTexts(b.node("n1"))); diff != "" {
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
					if n := b.node(name); !nodeReady(n) || len(n.Spec.Taints) > 0 {
						t.Fatalf("after the store was away for %s node %s has Ready %v and taints %v", away, name, nodeReady(n), taintTexts(n))
					}
				}
			}
		}
	})
}
