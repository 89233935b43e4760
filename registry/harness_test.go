package registry

import (
	"context"
	"log/slog"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/registry/mutation"
	"gantry/registry/store"
	"gantry/schema"
)

// Kinds of the tests of reads: what the read path needs of a kind and no more.
var (
	podKind = &schema.Kind{
		Version: schema.Version{
			Version: "v1", Kind: "Pod",
			New:     func() schema.Object { return &corev1.Pod{} },
			NewList: func() runtime.Object { return &corev1.PodList{} },
			Default: func(o schema.Object) {
				if p := o.(*corev1.Pod); p.Spec.RestartPolicy == "" {
					p.Spec.RestartPolicy = corev1.RestartPolicyAlways
				}
			},
			Fields: []schema.Field{
				schema.FieldOf("spec.nodeName", func(p *corev1.Pod) string { return p.Spec.NodeName }),
				schema.FieldOf("status.phase", func(p *corev1.Pod) string { return string(p.Status.Phase) }),
			},
		},
		Plural: "pods", Singular: "pod", Namespaced: true, Prefix: "pods",
	}
	nodeKind = &schema.Kind{
		Version: schema.Version{
			Version: "v1", Kind: "Node",
			New:     func() schema.Object { return &corev1.Node{} },
			NewList: func() runtime.Object { return &corev1.NodeList{} },
		},
		Plural: "nodes", Singular: "node", Prefix: "minions",
	}
	deploymentKind = &schema.Kind{
		Version: schema.Version{
			Group: "apps", Version: "v1", Kind: "Deployment",
			New:     func() schema.Object { return &appsv1.Deployment{} },
			NewList: func() runtime.Object { return &appsv1.DeploymentList{} },
		},
		Plural: "deployments", Singular: "deployment", Namespaced: true, Prefix: "deployments",
		Subresources: []schema.Subresource{schema.ScaleAt(".spec.replicas", ".status.replicas", ".spec.selector")},
	}
)

// testKinds are kinds of a test's own: in a bubble, all that a registry waits for must be made there.
func testKinds() *schema.Kinds {
	return schema.NewKinds(schema.NewSet(podKind, nodeKind, deploymentKind))
}

// testRegistry is a running registry on a store; it ends with the test.
func testRegistry(t *testing.T, s store.Store) *Registry {
	t.Helper()
	mutation.Detect(true)
	t.Cleanup(func() {
		if err := mutation.Changed(); err != nil {
			t.Error(err)
		}
	})
	r := New(Config{Store: s, Kinds: testKinds(), Agent: "test", Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return r
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}
