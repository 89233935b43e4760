package registry

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
)

// Kinds of the tests of reads: what the read path needs of a kind and no more.
var (
	podKind = &schema.Kind{
		Version: "v1", Kind: "Pod", Plural: "pods", Singular: "pod", Namespaced: true, Prefix: "pods",
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
	}
	nodeKind = &schema.Kind{
		Version: "v1", Kind: "Node", Plural: "nodes", Singular: "node", Prefix: "minions",
		New:     func() schema.Object { return &corev1.Node{} },
		NewList: func() runtime.Object { return &corev1.NodeList{} },
	}
	deploymentKind = &schema.Kind{
		Group: "apps", Version: "v1", Kind: "Deployment", Plural: "deployments", Singular: "deployment", Namespaced: true, Prefix: "deployments",
		New:     func() schema.Object { return &appsv1.Deployment{} },
		NewList: func() runtime.Object { return &appsv1.DeploymentList{} },
		Scale: &schema.Scale{Get: func(o schema.Object) (int32, int32, string) {
			d := o.(*appsv1.Deployment)
			if d.Spec.Replicas == nil {
				return 1, 0, ""
			}
			return *d.Spec.Replicas, 0, ""
		}},
	}
	testKinds = schema.NewSet(podKind, nodeKind, deploymentKind)
)
