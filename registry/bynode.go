package registry

import (
	corev1 "k8s.io/api/core/v1"

	"gantry/registry/store"
	"gantry/schema"
)

// A pod bound to a node has a copy of its value below that node's prefix, so that a node watches its own pods
// only and etcd's roles can say so. It is written in the pod's own transaction: it has the pod's mod revision, and its
// bytes.

func isPod(k *schema.Kind) bool { return k.Group == "" && k.Kind == "Pod" }

// copyByNode adds to a pod's transaction what keeps its copy in step.
func copyByNode(t *store.Txn, s *swap, value []byte) {
	if !isPod(s.kind) {
		return
	}
	before := ""
	if s.old.item != nil {
		before = s.old.item.nodeCopy()
	}
	after := ""
	if !s.remove {
		after = nodeCopy(s.obj)
	}
	if before != "" && before != after {
		t.Deletes = append(t.Deletes, before)
	}
	if after != "" {
		t.Puts = append(t.Puts, store.Put{Key: after, Value: value})
	}
}

// nodeCopy is the key of a pod's copy; "": it has none.
func nodeCopy(obj schema.Object) string {
	pod, ok := obj.(*corev1.Pod)
	if !ok {
		return ""
	}
	return copyKey(pod.Spec.NodeName, pod.Namespace, pod.Name)
}

// nodeCopy is that of a cached pod.
func (i *Item) nodeCopy() string {
	return copyKey(i.Field("spec.nodeName"), i.Namespace, i.Name)
}

func copyKey(node, namespace, name string) string {
	if !isSegment(node) {
		return ""
	}
	return byNodeKey(node, namespace, name)
}
