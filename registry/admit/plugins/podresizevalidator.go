package plugins

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	resourcehelper "k8s.io/component-helpers/resource"

	"gantry/registry/admit"
	"gantry/schema"
)

// podResizeValidator refuses to resize a pod beyond its node.
func podResizeValidator() admit.Rule {
	return admit.Rule{
		Name: "PodResizeValidator", Doc: "a pod is resized to what its node has",
		Wants: func(o admit.Operation, k *schema.Kind, subresource string) bool {
			return o == admit.Update && k.Group == "" && k.Plural == "pods" && subresource == "resize"
		},
		Validate: checkResize,
	}
}

func checkResize(ctx context.Context, read admit.Reader, q *admit.Request) error {
	pod, old := q.Object.(*corev1.Pod), q.Old.(*corev1.Pod)
	if pod.Spec.NodeName == "" || equality.Semantic.DeepEqual(pod.Spec, old.Spec) {
		return nil
	}
	found, err := read.Find(ctx, "", "nodes", "", pod.Spec.NodeName)
	if err != nil {
		return fmt.Errorf("looking up node %s: %w", pod.Spec.NodeName, err)
	}
	node, ok := found.Object.(*corev1.Node)
	if !ok {
		return &admit.Denied{Reason: fmt.Sprintf("node %q not found", pod.Spec.NodeName)}
	}
	if system := node.Labels[corev1.LabelOSStable]; system != "" && system != "linux" {
		return refusedResize("UnsupportedPlatform", fmt.Sprintf("pod resize is only supported on linux nodes, node %q is %q", node.Name, system))
	}
	requests := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})
	var lacks []string
	if has, wants := node.Status.Allocatable.Cpu(), requests.Cpu(); wants.Cmp(*has) > 0 {
		lacks = append(lacks, fmt.Sprintf("cpu, requested: %d, allocatable: %d", wants.MilliValue(), has.MilliValue()))
	}
	if has, wants := node.Status.Allocatable.Memory(), requests.Memory(); wants.Cmp(*has) > 0 {
		lacks = append(lacks, fmt.Sprintf("memory, requested: %d, allocatable: %d", wants.Value(), has.Value()))
	}
	if len(lacks) > 0 {
		return refusedResize("NodeCapacity", "node didn't have enough allocatable resources: "+strings.Join(lacks, "; "))
	}
	return nil
}

func refusedResize(cause metav1.CauseType, reason string) error {
	return &admit.Denied{Reason: reason, Causes: []metav1.StatusCause{{Type: cause}}}
}
