package registry

import (
	"context"
	"errors"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/registry/bynode"
	"gantry/registry/objectmeta"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/volumes"
)

// podHooks: a pod that is bound to a node has a copy by node, which that node reads.
var podHooks = hooks{
	nodeRange: bynode.Prefix,
	copies:    2,
	companions: func(_ context.Context, _ *Registry, u *guardedUpdate) (companions, error) {
		return nodeCopy{u, copyOfPod, copyOfPodItem}, nil
	},
	subresources: map[string]part{
		"binding": {}, // Bind prepares and admits
	},
	evicted:  func(obj schema.Object, now time.Time) bool { return markEvicted(obj.(*corev1.Pod), now) },
	recreate: func(obj schema.Object) { obj.(*corev1.Pod).Spec.NodeName = "" }, // it is scheduled again
}

// volumeHooks: a local volume has a copy by node, which the node with its directory reads.
var volumeHooks = hooks{
	nodeRange: bynode.VolumePrefix,
	copies:    2,
	companions: func(_ context.Context, _ *Registry, u *guardedUpdate) (companions, error) {
		return nodeCopy{u, copyOfVolume, copyOfVolumeItem}, nil
	},
}

// markEvicted sets the condition that tells why the pod is deleted, and returns whether it was another.
func markEvicted(pod *corev1.Pod, now time.Time) bool {
	c := corev1.PodCondition{
		Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "EvictionByEvictionAPI", Message: "Eviction API: evicting",
		LastTransitionTime: objectmeta.Time(now),
	}
	i := slices.IndexFunc(pod.Status.Conditions, func(was corev1.PodCondition) bool { return was.Type == c.Type })
	if i < 0 {
		pod.Status.Conditions = append(pod.Status.Conditions, c)
		return true
	}
	was := &pod.Status.Conditions[i]
	if was.Status == c.Status {
		c.LastTransitionTime = was.LastTransitionTime
	}
	changed := was.Status != c.Status || was.Reason != c.Reason || was.Message != c.Message
	*was = c
	return changed
}

// nodeCopy is the copy of an object by node.
type nodeCopy struct {
	*guardedUpdate
	// keyOf is where the copy of an object lives, keyOfItem the same of a cached one; "": it has none.
	keyOf     func(obj schema.Object) string
	keyOfItem func(it *Item) string
}

func (nodeCopy) fill(context.Context) error { return nil }

// add keeps the copy in step with the object.
func (c nodeCopy) add(t *store.Txn, value []byte) error {
	before, after := "", ""
	if c.old.item != nil {
		before = c.keyOfItem(c.old.item)
	}
	if !c.remove {
		after = c.keyOf(c.obj)
	}
	if before != "" && before != after {
		t.Deletes = append(t.Deletes, before)
	}
	if after != "" {
		t.Puts = append(t.Puts, store.Put{Key: after, Value: value})
	}
	return nil
}

func (nodeCopy) onConflict(map[string]*store.KV) {}

func copyOfPod(obj schema.Object) string {
	pod, ok := obj.(*corev1.Pod)
	if !ok {
		return ""
	}
	return bynode.Key(pod.Spec.NodeName, pod.Namespace, pod.Name)
}

func copyOfPodItem(pod *Item) string {
	return bynode.Key(pod.Field("spec.nodeName"), pod.Namespace, pod.Name)
}

func copyOfVolume(obj schema.Object) string {
	pv, ok := obj.(*corev1.PersistentVolume)
	if !ok {
		return ""
	}
	return bynode.VolumeKey(volumes.LocalNodeOf(pv), pv.Name)
}

func copyOfVolumeItem(volume *Item) string {
	obj, err := volume.object()
	if err != nil {
		return ""
	}
	return copyOfVolume(obj)
}

// RepairByNode keeps the by-node copies in step with pods that were written past the registry, until ctx is done. A leader runs it. report,
// where set, is called with a sentence where copies without pods are kept; see bynode.Repairer.
func (r *Registry) RepairByNode(ctx context.Context, report func(text string)) error {
	k := r.kinds.Set().Resource("", "pods")
	if k == nil {
		return errors.New("repairing by-node copies: pods are not served")
	}
	return bynode.Repairer{
		Store:  r.store,
		Log:    r.cfg.Log.With("agent", r.cfg.Agent, "controller", "bynode"),
		Report: report,
		Follow: func(ctx context.Context, f func(namespace, name, node string, revision int64, gone bool)) error {
			return r.Follow(ctx, k, func(c Change) {
				it := c.New
				if it == nil {
					it = c.Old
				}
				f(it.Namespace, it.Name, it.Field("spec.nodeName"), it.Revision, c.New == nil)
			})
		},
		NodeOf: func(kv *store.KV) (string, error) {
			it, err := r.itemFrom(k, kv)
			if err != nil {
				return "", err
			}
			return it.Field("spec.nodeName"), nil
		},
	}.Run(ctx)
}
