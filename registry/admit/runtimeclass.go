package admit

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"gantry/schema/pods"
)

const overheadMismatch = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"

// runtimeClassOf is the runtime class of a pod; nil: it names none.
func runtimeClassOf(ctx context.Context, read Reader, spec *corev1.PodSpec) (*nodev1.RuntimeClass, error) {
	if spec.RuntimeClassName == nil {
		return nil, nil
	}
	name := *spec.RuntimeClassName
	found, err := read.Find(ctx, nodev1.GroupName, "runtimeclasses", "", name)
	if err == nil && found.Object == nil {
		found, err = read.Latest(ctx, nodev1.GroupName, "runtimeclasses", "", name)
	}
	if err != nil {
		return nil, fmt.Errorf("looking up runtime class %s: %w", name, err)
	}
	class, ok := found.Object.(*nodev1.RuntimeClass)
	if !ok {
		return nil, denied("pod rejected: RuntimeClass %q not found", name)
	}
	return class, nil
}

// applyRuntimeClass gives a new pod what its class says.
func applyRuntimeClass(ctx context.Context, read Reader, q *Request) error {
	spec := &q.Object.(*corev1.Pod).Spec
	class, err := runtimeClassOf(ctx, read, spec)
	if class == nil || err != nil {
		return err
	}
	if o := class.Overhead; o != nil {
		if len(spec.Overhead) > 0 && !equality.Semantic.DeepEqual(o.PodFixed, spec.Overhead) {
			return denied(overheadMismatch)
		}
		spec.Overhead = o.PodFixed.DeepCopy()
	}
	if class.Scheduling == nil {
		return nil
	}
	for key, value := range class.Scheduling.NodeSelector {
		if own, there := spec.NodeSelector[key]; there && own != value {
			return denied("conflict: runtimeClass.scheduling.nodeSelector[%s] = %s; pod.spec.nodeSelector[%s] = %s", key, value, key, own)
		}
	}
	if spec.NodeSelector == nil {
		spec.NodeSelector = maps.Clone(class.Scheduling.NodeSelector)
	} else {
		maps.Copy(spec.NodeSelector, class.Scheduling.NodeSelector)
	}
	spec.Tolerations = pods.MergeTolerations(spec.Tolerations, class.DeepCopy().Scheduling.Tolerations)
	return nil
}

// checkOverhead refuses an overhead that is not the class's.
func checkOverhead(ctx context.Context, read Reader, q *Request) error {
	spec := &q.Object.(*corev1.Pod).Spec
	class, err := runtimeClassOf(ctx, read, spec)
	switch {
	case err != nil:
		return err
	case class != nil && class.Overhead != nil:
		if !equality.Semantic.DeepEqual(class.Overhead.PodFixed, spec.Overhead) {
			return denied(overheadMismatch)
		}
	case spec.Overhead != nil:
		return denied("pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead")
	}
	return nil
}
