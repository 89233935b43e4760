// Package controllertest runs the controllers on a registry in memory, for tests of what they do together. Tests of plans use plantest.
package controllertest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"gantry/agents/controllers"
	"gantry/agents/controllers/controller"
	"gantry/agents/internal/daemon"
	"gantry/registry"
	"gantry/registry/customkinds"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/kinds"
)

// Cluster is a registry on a fake store with the controllers running, and a minimal scheduler and kubelet.
type Cluster struct {
	T        *testing.T
	Context  context.Context
	Registry *registry.Registry
	// Store is what Registry stands on; nil in a Cluster that Start did not make.
	Store *store.Fake
	// Broken returns whether a pod never becomes ready; nil: all do.
	Broken atomic.Pointer[func(*corev1.Pod) bool]

	restart chan struct{} // ends the term of the controllers
}

// Deadline bounds every wait of a test: a busy machine and the race detector are slow.
const Deadline = time.Minute

// Config is the configuration of the controllers on r. A test fails where a controller reads or writes a kind that its row does not declare.
func Config(t *testing.T, r *registry.Registry) controllers.Config {
	return controllers.Config{
		Registry: r, Identity: "test", RootCA: []byte("the CA"),
		ClusterCIDRs: []netip.Prefix{netip.MustParsePrefix("10.244.0.0/16")}, ServiceCIDRs: []netip.Prefix{netip.MustParsePrefix("10.96.0.0/16")},
		Undeclared: func(err error) { t.Error(err) }, Health: &daemon.Health{},
		Log: slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelInfo})),
	}
}

// Start runs the controllers, with what change makes of Config where it is not nil. Everything has ended when the test ends.
func Start(t *testing.T, change func(*controllers.Config)) *Cluster {
	t.Helper()
	registrytest.DetectMutations(t)
	ctx, cancel := context.WithCancel(t.Context())
	fake := store.NewFake()
	cfg := Config(t, nil)
	if change != nil {
		change(&cfg)
	}
	r := registry.New(registry.Config{Store: fake, Kinds: kinds.New(), ServiceCIDRs: cfg.ServiceCIDRs, Log: slog.New(slog.DiscardHandler)})
	cfg.Registry = r
	c := &Cluster{T: t, Context: ctx, Registry: r, Store: fake, restart: make(chan struct{})}
	custom := customkinds.New(r, slog.New(slog.DiscardHandler))
	done := make(chan struct{}, 4)
	run := func(name string, f func(context.Context) error) {
		go func() {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				t.Errorf("%s ended: %v", name, err)
			}
			done <- struct{}{}
		}()
	}
	run("registry", r.Run)
	run("custom kinds", custom.Run)
	run("controllers", func(ctx context.Context) error {
		select {
		case <-custom.Loaded():
		case <-ctx.Done():
		}
		return c.runControllers(ctx, cfg)
	})
	run("node", c.node)
	t.Cleanup(func() {
		cancel()
		for range cap(done) {
			<-done
		}
	})
	return c
}

// Restart ends the controllers in the middle of what they do and starts them again, with no memory.
func (c *Cluster) Restart() {
	select {
	case c.restart <- struct{}{}:
	case <-c.Context.Done():
	}
}

func (c *Cluster) runControllers(ctx context.Context, cfg controllers.Config) error {
	for ctx.Err() == nil {
		term, end := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- controllers.Run(term, cfg) }()
		select {
		case err := <-ended:
			end()
			return err
		case <-c.restart:
		case <-ctx.Done():
		}
		end()
		if err := <-ended; err != nil {
			return err
		}
	}
	return nil
}

type testLog struct{ t *testing.T }

func (l testLog) Write(b []byte) (int, error) {
	if l.t.Context().Err() == nil && testing.Verbose() {
		l.t.Log(strings.TrimSuffix(string(b), "\n"))
	}
	return len(b), nil
}

// nodeOf is the node that a pod's affinity names, or n1.
func nodeOf(p *corev1.Pod) string {
	if a := p.Spec.Affinity; a != nil && a.NodeAffinity != nil && a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		for _, t := range a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
			for _, f := range t.MatchFields {
				return f.Values[0]
			}
		}
	}
	return "n1"
}

// node binds every pod to its node, makes it ready with an address, and confirms its deletion.
func (c *Cluster) node(ctx context.Context) error {
	var n atomic.Uint32
	pods := registry.For[*corev1.Pod](c.Registry)
	work := make(chan *corev1.Pod, 100_000)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case p := <-work:
				c.serve(ctx, p, &n)
			}
		}
	}()
	err := pods.Follow(ctx, func(_, p *corev1.Pod) {
		if p != nil {
			work <- p
		}
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (c *Cluster) serve(ctx context.Context, p *corev1.Pod, n *atomic.Uint32) {
	pods := registry.For[*corev1.Pod](c.Registry)
	switch {
	case p.DeletionTimestamp != nil:
		_ = pods.Delete(ctx, p.Namespace, p.Name, registry.DeleteOptions{GracePeriodSeconds: new(int64), UID: string(p.UID)})
	case p.Spec.NodeName == "":
		_, _ = c.Registry.Bind(ctx, p.Namespace, p.Name, &corev1.Binding{Target: corev1.ObjectReference{Kind: "Node", Name: nodeOf(p)}}, registry.WriteOptions{})
	case p.Status.PodIP == "":
		if b := c.Broken.Load(); b != nil && (*b)(p) {
			return
		}
		i := n.Add(1)
		_, _ = pods.ModifyStatus(ctx, p.Namespace, p.Name, func(m *corev1.Pod) error {
			m.Status.Phase = corev1.PodRunning
			m.Status.PodIP = fmt.Sprintf("10.244.%d.%d", i/250, 2+i%250)
			m.Status.PodIPs = []corev1.PodIP{{IP: m.Status.PodIP}}
			m.Status.HostIP = "192.0.2.1"
			controller.SetPodCondition(m, corev1.PodReady, corev1.ConditionTrue, "", "", time.Now())
			return nil
		})
	}
}

// Apply creates the YAML documents, or replaces what is there.
func (c *Cluster) Apply(text string) {
	c.T.Helper()
	for doc := range strings.SplitSeq(text, "---\n") {
		if strings.TrimSpace(doc) == "" {
			continue
		}
		var head metav1.TypeMeta
		if err := yaml.Unmarshal([]byte(doc), &head); err != nil {
			c.T.Fatal(err)
		}
		k := c.Registry.Kinds().Set().Kind(head.APIVersion, head.Kind)
		if k == nil {
			c.T.Fatalf("no kind %s", head.Kind)
		}
		obj := decode(c.T, k, doc)
		_, err := c.Registry.Create(c.Context, k, obj, registry.WriteOptions{})
		if errors.Is(err, registry.Exists) {
			_, err = c.Registry.Update(c.Context, k, obj, registry.WriteOptions{})
		}
		if err != nil {
			c.T.Fatalf("applying %s %s: %v", head.Kind, obj.GetName(), err)
		}
	}
}

// decode reads an object from YAML, of which every field must be known.
func decode(t *testing.T, k *schema.Kind, doc string) schema.Object {
	t.Helper()
	text, err := yaml.YAMLToJSONStrict([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	obj, unknown, err := schema.Decode(k.Stored(), text)
	if err != nil || len(unknown) > 0 {
		t.Fatalf("reading a %s: %v %q", k.Kind, err, unknown)
	}
	return obj
}

// Until waits for check to return "", checking again whenever an object of kinds changes; check returns what it still
// waits for.
func (c *Cluster) Until(check func() string, watched ...*schema.Kind) {
	c.T.Helper()
	ctx, cancel := context.WithTimeout(c.Context, Deadline)
	defer cancel()
	again := make(chan struct{}, 1)
	ended := make(chan struct{}, len(watched))
	for _, k := range watched {
		go func() {
			_ = c.Registry.Follow(ctx, k, func(registry.Change) {
				select {
				case again <- struct{}{}:
				default:
				}
			})
			ended <- struct{}{}
		}()
	}
	missing := ""
	for {
		if missing = check(); missing == "" {
			break
		}
		select {
		case <-again:
			continue
		case <-ctx.Done():
			c.T.Fatalf("still waiting for: %s\n%s", missing, c.Dump())
		}
	}
	cancel()
	for range watched {
		<-ended
	}
}

// FollowPods calls f for every pod there is and for every change of one, until end is called; there is false for a pod that is gone.
func (c *Cluster) FollowPods(f func(p *corev1.Pod, there bool)) (end func()) {
	ctx, cancel := context.WithCancel(c.Context)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = registry.For[*corev1.Pod](c.Registry).Follow(ctx, func(old, current *corev1.Pod) { // its only error is ctx's
			if current != nil {
				f(current, true)
			} else {
				f(old, false)
			}
		})
	}()
	return func() {
		cancel()
		<-ended
	}
}

// Dump is what there is, for the message of a failure.
func (c *Cluster) Dump() string {
	var b strings.Builder
	for _, k := range kinds.BuiltIn().All {
		list, err := c.Registry.List(c.Context, k, "", registry.ListOptions{ResourceVersion: "0"})
		if err != nil {
			continue
		}
		for _, it := range list.Items {
			if k == core.Event {
				ev := it.Object().(*corev1.Event)
				fmt.Fprintf(&b, "event %s %s %s: %s\n", ev.InvolvedObject.Name, ev.Type, ev.Reason, ev.Message)
				continue
			}
			fmt.Fprintf(&b, "%.400s\n", it.JSON)
		}
	}
	return b.String()
}

// Get reads an object; the zero T where there is none.
func Get[T schema.Object](c *Cluster, ns, name string) (obj T, ok bool) {
	obj, err := registry.For[T](c.Registry).Get(c.Context, ns, name)
	return obj, err == nil
}

func List[T schema.Object](c *Cluster, ns, labels string) (out []T) {
	c.T.Helper()
	l, err := c.Registry.List(c.Context, kinds.BuiltIn().Of(reflect.TypeFor[T]()), ns, registry.ListOptions{Labels: labels})
	if err != nil {
		c.T.Fatal(err)
	}
	for _, it := range l.Items {
		out = append(out, it.Object().(T))
	}
	return out
}

// Events returns who says what of an object ("node-controller RegisteredNode"), sorted.
func (c *Cluster) Events(name string) (said []string) {
	for _, ev := range List[*corev1.Event](c, "", "") {
		s := ev.Source.Component + " " + ev.Reason
		if ev.InvolvedObject.Name == name && !slices.Contains(said, s) {
			said = append(said, s)
		}
	}
	slices.Sort(said)
	return said
}

// withNode is what every cluster of these tests has.
const withNode = `apiVersion: v1
kind: Node
metadata: {name: n1, labels: {topology.kubernetes.io/zone: z1}}
`

func (c *Cluster) Ready() {
	c.T.Helper()
	c.Until(func() string {
		for _, ns := range []string{"default", "kube-system", "kube-public", "kube-node-lease"} {
			if _, ok := Get[*corev1.ServiceAccount](c, ns, "default"); !ok {
				return "the service account of " + ns
			}
		}
		return ""
	}, core.Namespace, core.ServiceAccount)
	c.Apply(withNode)
}

// ReplicaSet is a replica set of two pods labelled app=web.
const ReplicaSet = `apiVersion: apps/v1
kind: ReplicaSet
metadata: {namespace: default, name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "web:1"}]}
`

// Shop is a namespace.
const Shop = `apiVersion: v1
kind: Namespace
metadata: {name: shop}
`
