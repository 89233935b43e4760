package controllers_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/agents/controllers/controllertest"
	"gantry/registry"
	"gantry/registry/bynode"
	"gantry/registry/store"
	"gantry/schema/apps"
	"gantry/schema/core"
	"gantry/schema/discovery"
)

// owners are a Deployment, a StatefulSet and a ReplicationController of 10 pods each, and a Service of the Deployment's.
const owners = `apiVersion: apps/v1
kind: Deployment
metadata: {namespace: default, name: web}
spec:
  replicas: 10
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "web:1"}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {namespace: default, name: db}
spec:
  replicas: 10
  podManagementPolicy: Parallel
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: c, image: "db:1"}]}
---
apiVersion: v1
kind: ReplicationController
metadata: {namespace: default, name: old}
spec:
  replicas: 10
  selector: {app: old}
  template:
    metadata: {labels: {app: old}}
    spec: {containers: [{name: c, image: "old:1"}]}
---
apiVersion: v1
kind: Service
metadata: {namespace: default, name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
`

// vanishing is a cluster whose pods of all owners vanish.
type vanishing struct {
	*controllertest.Cluster
	mu   sync.Mutex
	uids map[types.UID]string // of the pods that there were, by their names
	made []string             // pods that were made since
}

// startVanishing returns a cluster with owners whose pods are ready.
func startVanishing(t *testing.T) *vanishing {
	v := &vanishing{Cluster: controllertest.Start(t, nil), uids: map[types.UID]string{}}
	v.Ready()
	v.Apply(owners)
	v.Until(func() string { return v.lacks("app in (web, db, old)", 30) }, core.Pod)
	v.Until(v.lacksEndpoints, discovery.EndpointSlice)
	for _, p := range controllertest.List[*corev1.Pod](v.Cluster, "default", "") {
		v.uids[p.UID] = p.Name
	}
	t.Cleanup(v.FollowPods(func(p *corev1.Pod, there bool) {
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.uids[p.UID] == "" && there && p.Labels["app"] != "other" && !slices.Contains(v.made, p.Name) {
			v.made = append(v.made, p.Name)
		}
	}))
	return v
}

// lacks is what is missing of n ready pods with labels.
func (v *vanishing) lacks(labels string, n int) string {
	ready := 0
	for _, p := range controllertest.List[*corev1.Pod](v.Cluster, "default", labels) {
		if p.Status.PodIP != "" {
			ready++
		}
	}
	if ready != n {
		return fmt.Sprintf("%d ready pods with %s, there are %d", n, labels, ready)
	}
	return ""
}

func (v *vanishing) lacksEndpoints() string {
	for _, s := range controllertest.List[*discoveryv1.EndpointSlice](v.Cluster, "default", "kubernetes.io/service-name=web") {
		if len(s.Endpoints) == 10 {
			return ""
		}
	}
	return "ten endpoints of the service web"
}

// deleteRaw deletes pods as etcdctl does, in one transaction.
func (v *vanishing) deleteRaw(pods ...string) {
	v.T.Helper()
	var keys []string
	for _, name := range pods {
		keys = append(keys, "/registry/pods/default/"+name)
	}
	if _, err := v.Store.Commit(v.Context, store.Txn{Deletes: keys}); err != nil {
		v.T.Fatal(err)
	}
}

// hold is the record of what is held; ok: there is one.
func (v *vanishing) hold() (h bynode.Hold, ok bool) {
	v.T.Helper()
	kv, _, err := v.Store.Get(v.Context, bynode.HoldKey, 0)
	if err == nil && kv != nil {
		h, err = bynode.ReadHold(kv.Value)
	}
	if err != nil {
		v.T.Fatal(err)
	}
	return h, kv != nil
}

// others makes a replica set of others, which proves that the controllers work.
func (v *vanishing) others(name string, total int) {
	v.T.Helper()
	v.Apply(strings.ReplaceAll(strings.ReplaceAll(controllertest.ReplicaSet, "app: web", "app: other"), "name: web}", "name: "+name+"}"))
	v.Until(func() string { return v.lacks("app=other", total) }, core.Pod)
}

func (v *vanishing) names() (all []string) {
	for _, name := range v.uids {
		all = append(all, name)
	}
	return all
}

// expectNoneMade fails where a pod was made beside those that there were.
func (v *vanishing) expectNoneMade(when string) {
	v.T.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.made) > 0 {
		v.T.Fatalf("%d pods were made %s: %v", len(v.made), when, v.made)
	}
}

func (v *vanishing) untilHeld() {
	v.T.Helper()
	v.Until(func() string {
		for _, owner := range []string{"web", "db", "old"} {
			if !slices.ContainsFunc(v.Events(owner), func(e string) bool { return strings.HasSuffix(e, " PodsVanished") }) {
				return "an event about " + owner
			}
		}
		if _, ok := v.hold(); !ok {
			return "the record of the hold"
		}
		return ""
	}, core.Event)
}

func (v *vanishing) untilNotHeld() {
	v.T.Helper()
	ctx, cancel := context.WithTimeout(v.Context, controllertest.Deadline)
	defer cancel()
	kv, rev, err := v.Store.Get(ctx, bynode.HoldKey, 0)
	if err != nil {
		v.T.Fatal(err)
	}
	if kv == nil {
		return
	}
	for b := range v.Store.Watch(ctx, bynode.HoldKey, bynode.HoldKey+"0", rev+1, false) {
		for _, e := range b.Events {
			if e.Delete {
				return
			}
		}
	}
	v.T.Fatal("the hold does not end")
}

// Pods of three owners vanish: none is replaced, also by the next leader, and their endpoints stay, until they are put back as they were.
func TestVanishedPodsAreHeldUntilTheyArePutBack(t *testing.T) {
	v := startVanishing(t)
	v.deleteRaw(v.names()...)
	v.untilHeld()
	v.others("first", 2)
	v.expectNoneMade("while they are held")
	v.Restart()
	v.others("second", 4)
	v.expectNoneMade("by the next leader")
	if missing := v.lacksEndpoints(); missing != "" {
		t.Errorf("without %s", missing)
	}
	if d, _ := controllertest.Get[*appsv1.Deployment](v.Cluster, "default", "web"); d.Status.ReadyReplicas != 10 {
		t.Errorf("status of the deployment: %+v", d.Status)
	}
	if done, err := bynode.Restore(v.Context, v.Store, "somebody", func(*store.KV) error { return nil }); err != nil || len(done.Restored) != 30 {
		t.Fatalf("%d pods restored, %v", len(done.Restored), err)
	}
	v.others("third", 6)
	v.untilNotHeld()
	v.expectNoneMade("beside those that were put back")
	for _, p := range controllertest.List[*corev1.Pod](v.Cluster, "default", "app!=other") {
		if v.uids[p.UID] != p.Name || p.Spec.NodeName == "" {
			t.Errorf("pod %s is another than before", p.Name)
		}
	}
	if missing := v.lacks("app!=other", 30); missing != "" {
		t.Errorf("without %s", missing)
	}
}

// The pods that vanished are replaced once somebody confirms that they are to go.
func TestVanishedPodsAreReplacedOnceGivenUp(t *testing.T) {
	v := startVanishing(t)
	v.deleteRaw(v.names()...)
	v.untilHeld()
	v.expectNoneMade("while they are held")
	h, _ := v.hold()
	_, err := registry.For[*corev1.Namespace](v.Registry).Modify(v.Context, "", "kube-system", func(ns *corev1.Namespace) error {
		ns.Annotations = map[string]string{"gantry.io/give-up-vanished-pods": fmt.Sprint(h.Revision)}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	v.Until(func() string { return v.lacks("app in (web, db, old)", 30) }, core.Pod)
	for _, p := range controllertest.List[*corev1.Pod](v.Cluster, "default", "") {
		if v.uids[p.UID] != "" {
			t.Errorf("pod %s is there again", p.Name)
		}
	}
	v.Until(v.lacksEndpoints, discovery.EndpointSlice)
}

// An owner that is deleted during a hold is gone with its pods once these are given up or put back; other owners' pods are held on.
func TestOwnerDeletedDuringAHold(t *testing.T) {
	v := startVanishing(t)
	v.deleteRaw(v.names()...)
	v.untilHeld()
	if err := registry.For[*appsv1.Deployment](v.Registry).Delete(v.Context, "default", "web", registry.DeleteOptions{Propagation: "Background"}); err != nil {
		t.Fatal(err)
	}
	v.Until(func() string {
		if len(controllertest.List[*appsv1.ReplicaSet](v.Cluster, "default", "app=web")) > 0 {
			return "the end of the replica set"
		}
		return ""
	}, apps.ReplicaSet)
	if _, err := bynode.Restore(v.Context, v.Store, "somebody", func(*store.KV) error { return nil }); err != nil {
		t.Fatal(err)
	}
	v.Until(func() string {
		if n := len(controllertest.List[*corev1.Pod](v.Cluster, "default", "app=web")); n > 0 {
			return fmt.Sprintf("the end of %d pods without an owner", n)
		}
		return v.lacks("app in (db, old)", 20)
	}, core.Pod)
	v.expectNoneMade("for an owner that is gone")
}

// A few pods that vanish are replaced, and are deleted for their nodes.
func TestFewVanishedPodsAreReplaced(t *testing.T) {
	v := startVanishing(t)
	v.deleteRaw("db-3", "db-4")
	v.Until(func() string {
		for _, name := range []string{"db-3", "db-4"} {
			if p, ok := controllertest.Get[*corev1.Pod](v.Cluster, "default", name); !ok || v.uids[p.UID] != "" {
				return "another " + name
			}
		}
		return v.lacks("app in (web, db, old)", 30)
	}, core.Pod)
	if h, held := v.hold(); held {
		t.Errorf("held: %v", h)
	}
}

// Pods that are deleted through the API are replaced, however many they are.
func TestDeletedPodsAreNotHeld(t *testing.T) {
	v := startVanishing(t)
	_, err := v.Registry.DeleteCollection(v.Context, core.Pod, "default", registry.DeleteOptions{GracePeriodSeconds: new(int64)}, registry.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	v.Until(func() string {
		for _, p := range controllertest.List[*corev1.Pod](v.Cluster, "default", "") {
			if v.uids[p.UID] != "" {
				return "the end of " + p.Name
			}
		}
		return v.lacks("app in (web, db, old)", 30)
	}, core.Pod)
	if h, held := v.hold(); held {
		t.Errorf("held: %v", h)
	}
	if slices.ContainsFunc(v.Events("web"), func(e string) bool { return strings.HasSuffix(e, " PodsVanished") }) {
		t.Error("an event says that pods vanished")
	}
}
