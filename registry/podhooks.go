package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
	return bynode.VolumeKey(nodeOfVolume(volume), volume.Name)
}

// nodeOfVolume is the node that has the directory of a local volume; "": it is none.
func nodeOfVolume(volume *Item) string {
	obj, err := volume.object()
	pv, ok := obj.(*corev1.PersistentVolume)
	if err != nil || !ok {
		return ""
	}
	return volumes.LocalNodeOf(pv)
}

// RepairByNode keeps the by-node copies in step with pods and local volumes that were written past the registry, until ctx is done, and holds pods that vanished.
// A leader runs it; see bynode.Repairer. listed is called as Observer.Listed is, with the last states of pods that may have vanished.
func (r *Registry) RepairByNode(ctx context.Context, copies *bynode.Copies, o bynode.Observer, listed func(vanished []*Item)) error {
	k, pvs := r.kinds.Set().Resource("", "pods"), r.kinds.Set().Resource("", "persistentvolumes")
	if k == nil || pvs == nil {
		return errors.New("repairing by-node copies: pods or persistentvolumes are not served")
	}
	if listed != nil {
		o.Listed = func(orphans []*store.KV) { listed(r.podsOfCopies(k, orphans)) }
	}
	return bynode.Repairer{
		Store:    r.store,
		Log:      r.cfg.Log.With("agent", r.cfg.Agent, "controller", "bynode"),
		Copies:   copies,
		Observer: o,
		Follow: func(ctx context.Context, eachPod func(namespace, name string, pod bynode.Pod, revision int64, gone bool),
			eachVolume func(name, node string, revision int64, gone bool), applied func()) error {
			return r.FollowApplied(ctx, map[*schema.Kind]func(Change){
				k: func(c Change) {
					it := cmp.Or(c.New, c.Old)
					eachPod(it.Namespace, it.Name, podByNode(it), it.Revision, c.New == nil)
				},
				pvs: func(c Change) {
					it := cmp.Or(c.New, c.Old)
					eachVolume(it.Name, nodeOfVolume(it), it.Revision, c.New == nil)
				},
			}, applied)
		},
		Read: func(kv *store.KV) (bynode.Pod, error) {
			it, err := r.podOfCopy(k, kv)
			if err != nil {
				return bynode.Pod{}, err
			}
			return podByNode(it), nil
		},
		ReadVolume: func(kv *store.KV) (string, error) {
			it, err := r.itemFrom(pvs, kv)
			if err != nil {
				return "", err
			}
			return nodeOfVolume(it), nil
		},
	}.Run(ctx)
}

// podByNode is what the repair of copies has to know of a pod.
func podByNode(it *Item) bynode.Pod {
	p := bynode.Pod{Node: it.Field("spec.nodeName"), Deleting: it.deleting}
	if len(it.owners()) > 0 {
		if ref := metav1.GetControllerOfNoCopy(it.Object()); ref != nil {
			p.Owner = string(ref.UID)
		}
	}
	return p
}

// podOfCopy makes an item of the value of a pod or of a copy of one.
func (r *Registry) podOfCopy(k *schema.Kind, kv *store.KV) (*Item, error) {
	if namespace, name, ok := bynode.PodOf(kv.Key); ok {
		kv = &store.KV{Key: Key(k, namespace, name), Value: kv.Value, ModRevision: kv.ModRevision}
	}
	return r.itemFrom(k, kv)
}

// podsOfCopies are the pods of copies that the cache does not have.
func (r *Registry) podsOfCopies(k *schema.Kind, copies []*store.KV) (pods []*Item) {
	for _, kv := range copies {
		it, err := r.podOfCopy(k, kv)
		if err == nil && r.cached(k, it.Namespace, it.Name) == nil {
			pods = append(pods, it)
		}
	}
	return pods
}

// VanishedPods are the last states of the pods that were deleted past the API, where such pods are held (bynode.Hold); nil: none are held.
func (r *Registry) VanishedPods(ctx context.Context) ([]*Item, error) {
	hold, err := r.readHold(ctx)
	if err != nil || hold == nil {
		return nil, err
	}
	copies, err := bynode.Orphans(ctx, r.store)
	if err != nil {
		return nil, fmt.Errorf("reading vanished pods: %w", err)
	}
	return r.podsOfCopies(r.kinds.Set().Resource("", "pods"), copies), nil
}

// NotVanished are those of pods, which the cache lost, that were deleted through the API, or are given up: neither are they held nor do they have
// a copy by node.
func (r *Registry) NotVanished(ctx context.Context, pods []*Item) (gone []*Item, err error) {
	hold, err := r.readHold(ctx)
	if err != nil {
		return nil, err
	}
	for _, it := range pods {
		if hold[it.Namespace+"/"+it.Name] {
			continue
		}
		kv, _, err := r.store.Get(ctx, copyOfPodItem(it), 0)
		if err != nil {
			return gone, fmt.Errorf("reading the by-node copy of pod %s/%s: %w", it.Namespace, it.Name, err)
		}
		if kv == nil {
			gone = append(gone, it)
		}
	}
	return gone, nil
}

// readHold are the pods that are held, by "<namespace>/<name>"; nil: there is no record.
func (r *Registry) readHold(ctx context.Context) (pods map[string]bool, err error) {
	kv, _, err := r.store.Get(ctx, bynode.HoldKey, 0)
	if err != nil || kv == nil {
		return nil, err
	}
	pods = map[string]bool{}
	if hold, err := bynode.ReadHold(kv.Value); err == nil { // the copies tell otherwise
		for _, pod := range hold.Pods {
			pods[pod] = true
		}
	}
	return pods, nil
}
