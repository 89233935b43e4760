package explain

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/admin/snapshot"
	"gantry/registry"
	"gantry/registry/bynode"
	"gantry/registry/history"
	"gantry/schema"
	"gantry/schema/apps"
	"gantry/schema/core"
)

// vanished are the pods that were deleted past the API, as their copies by node have them; Key is that of the copy.
func (x *explainer) vanished() (all []*snapshot.Entry) {
	for _, kv := range x.Below(bynode.Root) {
		namespace, name, ok := bynode.PodOf(kv.Key)
		if !ok {
			continue
		}
		key := registry.Key(core.Pod, namespace, name)
		if len(x.Below(key)) > 0 && x.Below(key)[0].Key == key {
			continue
		}
		if it, err := registry.Read(x.Kinds, key, &history.Version{Revision: kv.ModRevision, Value: kv.Value}); err == nil {
			all = append(all, &snapshot.Entry{Kind: core.Pod, Key: kv.Key, Revision: kv.ModRevision, Object: it.Object()})
		}
	}
	return all
}

// vanishedPod explains a pod that does not exist because it vanished; false: it did not.
func (x *explainer) vanishedPod(k *schema.Kind, namespace, name string) bool {
	if k != core.Pod {
		return false
	}
	for _, e := range x.vanished() {
		if e.Object.GetNamespace() != namespace || e.Object.GetName() != name {
			continue
		}
		x.add(0, false, e, "%s vanished: its key was deleted in etcd past the API, its copy by node is there. Its containers run on, on node %s",
			x.title(e), e.Object.(*corev1.Pod).Spec.NodeName)
		x.holdOf(1, namespace+"/"+name)
		x.controllerOf(1, e)
		return true
	}
	return false
}

// vanishedPodsOf adds a finding where pods of an object, or of its replica sets, vanished.
func (x *explainer) vanishedPodsOf(depth int, owner *snapshot.Entry) {
	uids := map[string]bool{string(owner.Object.GetUID()): true}
	if owner.Kind == apps.Deployment {
		for _, set := range x.controlledBy(apps.ReplicaSet, owner) {
			uids[string(set.Object.GetUID())] = true
		}
	}
	var found []*snapshot.Entry
	for _, e := range x.vanished() {
		if ref := metav1.GetControllerOfNoCopy(e.Object); ref != nil && uids[string(ref.UID)] {
			found = append(found, e)
		}
	}
	if len(found) == 0 {
		return
	}
	x.add(depth, false, found[0], "%d of its pods vanished: their keys were deleted in etcd past the API, their copies by node are there. Their containers run on", len(found))
	x.holdOf(depth+1, found[0].Object.GetNamespace()+"/"+found[0].Object.GetName())
}

// holdOf adds what becomes of a pod that vanished.
func (x *explainer) holdOf(depth int, pod string) {
	kvs := x.Below(bynode.HoldKey)
	if len(kvs) == 0 {
		x.add(depth, false, nil, "they are not held so far: a few are replaced after a second, and their containers stopped")
		x.agentMissing(depth+1, "controllers", "does that")
		return
	}
	h, err := bynode.ReadHold(kvs[0].Value)
	text := fmt.Sprintf("they are held with %d pods in all, and not replaced, until %s", len(h.Pods), h.Until.Format(time.RFC3339))
	switch {
	case err != nil:
		text = fmt.Sprintf("the record of what is held cannot be read: %v", err)
	case !strings.Contains(" "+strings.Join(h.Pods, " ")+" ", " "+pod+" "):
		text = "others are held: " + text
	}
	x.report.Lines = append(x.report.Lines, Line{Depth: depth, Text: text, Key: kvs[0].Key, Revision: kvs[0].ModRevision})
	x.add(depth, false, nil, "`gantry undo pods --vanished` restores them")
	x.add(depth, false, nil, "`kubectl annotate namespace kube-system --overwrite gantry.io/give-up-vanished-pods=%d` gives them up: they are replaced, and their containers stopped", h.Revision)
}
