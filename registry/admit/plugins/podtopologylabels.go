package plugins

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"

	"gantry/registry/admit"
	"gantry/schema"
)

// podTopologyLabels gives a pod the zone and the region of its node as labels, which a container reads through the downward API.
func podTopologyLabels() admit.Rule {
	return admit.Rule{
		Name: "PodTopologyLabels", Doc: "a pod has its node's labels of zone and region",
		Wants: wantsTopology, Mutate: labelTopology,
	}
}

func wantsTopology(o admit.Operation, k *schema.Kind, subresource string) bool {
	return o == admit.Create && k.Group == "" && k.Plural == "pods" && (subresource == "" || subresource == "binding")
}

// labelTopology adds the labels to a pod that is created on a node, or to the Binding, whose labels become the pod's.
func labelTopology(ctx context.Context, read admit.Reader, q *admit.Request) error {
	node := ""
	switch o := q.Object.(type) {
	case *corev1.Pod:
		node = o.Spec.NodeName
	case *corev1.Binding:
		node = o.Target.Name
	}
	if node == "" {
		return nil
	}
	found, err := read.Find(ctx, "", "nodes", "", node)
	if err != nil {
		return fmt.Errorf("looking up node %s: %w", node, err)
	}
	if found.Object == nil {
		return nil
	}
	has := found.Object.GetLabels()
	labels := maps.Clone(q.Object.GetLabels())
	for _, key := range []string{corev1.LabelTopologyZone, corev1.LabelTopologyRegion} {
		if value, ok := has[key]; ok {
			if labels == nil {
				labels = map[string]string{}
			}
			labels[key] = value
		}
	}
	q.Object.SetLabels(labels)
	return nil
}
