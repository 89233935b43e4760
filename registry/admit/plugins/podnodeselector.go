package plugins

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"gantry/registry/admit"
	"gantry/schema"
)

// nodeSelectorAnnotation of a namespace is the node selector of its pods: "zone=a,disk=ssd".
const nodeSelectorAnnotation = "scheduler.alpha.kubernetes.io/node-selector"

// nodeSelectors are the plug-in's configuration: "clusterDefaultNodeSelector" is the node selector of namespaces without an annotation; that of a
// namespace's name has all labels that its pods may select nodes by.
type nodeSelectors map[string]string

// podNodeSelector binds the pods of a namespace to nodes.
func podNodeSelector(_ Options, configuration []byte) (admit.Rule, error) {
	var c struct {
		Selectors nodeSelectors `json:"podNodeSelectorPluginConfig"`
	}
	if configuration != nil {
		if err := schema.DecodeYAML(configuration, &c); err != nil {
			return admit.Rule{}, err
		}
	}
	for name, selector := range c.Selectors {
		if _, err := labels.ConvertSelectorToLabelsMap(selector); err != nil {
			return admit.Rule{}, fmt.Errorf("podNodeSelectorPluginConfig.%s: %w", name, err)
		}
	}
	return admit.Rule{
		Name: "PodNodeSelector", Doc: "pods run on the nodes that their namespace selects",
		Wants: admit.Resource("pods", admit.Create), Mutate: c.Selectors.merge, Validate: c.Selectors.check,
	}, nil
}

// merge adds the namespace's node selector to the pod's.
func (s nodeSelectors) merge(ctx context.Context, read admit.Reader, q *admit.Request) error {
	pod := q.Object.(*corev1.Pod)
	ofNamespace, err := s.of(ctx, read, q.Namespace)
	if err != nil {
		return err
	}
	if labels.Conflicts(ofNamespace, pod.Spec.NodeSelector) {
		return &admit.Denied{Reason: "pod node label selector conflicts with its namespace node label selector"}
	}
	pod.Spec.NodeSelector = labels.Merge(ofNamespace, pod.Spec.NodeSelector)
	return s.check(ctx, read, q)
}

func (s nodeSelectors) check(ctx context.Context, read admit.Reader, q *admit.Request) error {
	selector := q.Object.(*corev1.Pod).Spec.NodeSelector
	ofNamespace, err := s.of(ctx, read, q.Namespace)
	if err != nil {
		return err
	}
	if labels.Conflicts(ofNamespace, selector) {
		return &admit.Denied{Reason: "pod node label selector conflicts with its namespace node label selector"}
	}
	allowed, err := labels.ConvertSelectorToLabelsMap(s[q.Namespace])
	if err != nil || len(allowed) == 0 {
		return err
	}
	for key, value := range selector {
		if v, ok := allowed[key]; !ok || v != value {
			return &admit.Denied{Reason: "pod node label selector labels conflict with its namespace whitelist"}
		}
	}
	return nil
}

// of is the node selector of a namespace.
func (s nodeSelectors) of(ctx context.Context, read admit.Reader, namespace string) (labels.Set, error) {
	ns, err := namespaceOf(ctx, read, namespace)
	if err != nil {
		return nil, err
	}
	text, ok := ns.GetAnnotations()[nodeSelectorAnnotation]
	if !ok {
		text = s["clusterDefaultNodeSelector"]
	}
	set, err := labels.ConvertSelectorToLabelsMap(text)
	if err != nil {
		return nil, &admit.Misconfigured{Reason: err.Error()}
	}
	return set, nil
}
