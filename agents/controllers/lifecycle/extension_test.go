package lifecycle_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	registrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"gantry/agents/controllers"
	"gantry/agents/controllers/controller"
	"gantry/agents/controllers/controllertest"
	"gantry/registry"
	"gantry/schema/apiregistration"
	"gantry/schema/core"
)

const flunders = "/apis/wardle.example.com/v1/namespaces/%s/flunders"

// wardle is a gateway before an extension server that has flunders.
type wardle struct {
	controller.Gateway
	mu       sync.Mutex // guards what follows
	objects  map[string]*metav1.PartialObjectMetadata
	last     int // resourceVersion
	watching []*io.PipeWriter
	down     bool
	changed  chan struct{} // closed at a change
}

// notify wakes until. The caller holds mu.
func (w *wardle) notify() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// until waits for missing to be "". It is called with mu held.
func (w *wardle) until(t *testing.T, missing func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), controllertest.Deadline)
	defer cancel()
	for {
		w.mu.Lock()
		text, changed := missing(), w.changed
		w.mu.Unlock()
		if text == "" {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("waited for %s", text)
		}
	}
}

func (w *wardle) lock() (unlock func(), err error) {
	w.mu.Lock()
	if w.down {
		w.mu.Unlock()
		return nil, &registry.Error{Kind: registry.Unavailable, Reason: "the server is down"}
	}
	return w.mu.Unlock, nil
}

func (w *wardle) GetPath(_ context.Context, path string) ([]byte, error) {
	unlock, err := w.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if path != "/apis/wardle.example.com/v1" {
		return nil, &registry.Error{Kind: registry.NotFound}
	}
	return json.Marshal(metav1.APIResourceList{GroupVersion: "wardle.example.com/v1", APIResources: []metav1.APIResource{
		{Name: "flunders", Kind: "Flunder", Namespaced: true, Verbs: metav1.Verbs{"get", "list", "watch", "delete", "deletecollection", "patch"}},
		{Name: "flunders/status", Kind: "Flunder", Namespaced: true, Verbs: metav1.Verbs{"get"}},
	}})
}

func (w *wardle) GetMetadata(_ context.Context, path string) ([]byte, error) {
	unlock, err := w.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if obj := w.objects[path]; obj != nil {
		return json.Marshal(obj)
	}
	return nil, &registry.Error{Kind: registry.NotFound, Name: path[strings.LastIndex(path, "/")+1:]}
}

func (w *wardle) ListMetadata(_ context.Context, path string) ([]byte, error) {
	unlock, err := w.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	path, _, _ = strings.Cut(path, "?")
	list := metav1.PartialObjectMetadataList{ListMeta: metav1.ListMeta{ResourceVersion: strconv.Itoa(w.last)}}
	for key, obj := range w.objects {
		if !strings.Contains(path, "/namespaces/") || strings.HasPrefix(key, path+"/") {
			list.Items = append(list.Items, *obj)
		}
	}
	return json.Marshal(list)
}

func (w *wardle) WatchMetadata(ctx context.Context, _ string) (io.ReadCloser, error) {
	unlock, err := w.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	out, in := io.Pipe()
	context.AfterFunc(ctx, func() { in.CloseWithError(ctx.Err()) })
	w.watching = append(w.watching, in)
	w.notify()
	return out, nil
}

// set writes an object, or removes it where it is being deleted and has no finalizers. The caller holds mu.
func (w *wardle) set(obj *metav1.PartialObjectMetadata) {
	path := fmt.Sprintf(flunders, obj.Namespace) + "/" + obj.Name
	w.last++
	event := "MODIFIED"
	switch {
	case obj.DeletionTimestamp != nil && len(obj.Finalizers) == 0:
		event = "DELETED"
		delete(w.objects, path)
	case w.objects[path] == nil:
		event = "ADDED"
		fallthrough
	default:
		w.objects[path] = obj
	}
	obj.ResourceVersion = strconv.Itoa(w.last)
	w.notify()
	for _, in := range w.watching {
		_ = json.NewEncoder(in).Encode(map[string]any{"type": event, "object": obj})
	}
}

func (w *wardle) DeletePath(_ context.Context, path string, body []byte) ([]byte, error) {
	unlock, err := w.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	var o metav1.DeleteOptions
	if err := json.Unmarshal(body, &o); err != nil {
		return nil, err
	}
	for key, obj := range w.objects {
		if key != path && !strings.HasPrefix(key, path+"/") {
			continue
		}
		if o.Preconditions != nil && *o.Preconditions.UID != obj.UID {
			return nil, &registry.Error{Kind: registry.Conflict}
		}
		now := metav1.Now()
		next := obj.DeepCopy()
		next.DeletionTimestamp = &now
		if *o.PropagationPolicy == metav1.DeletePropagationForeground {
			next.Finalizers = append(next.Finalizers, metav1.FinalizerDeleteDependents)
		}
		w.set(next)
	}
	return []byte("{}"), nil
}

func (w *wardle) PatchPath(_ context.Context, path string, body []byte) ([]byte, error) {
	unlock, err := w.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	var patch metav1.PartialObjectMetadata
	obj := w.objects[path]
	if err := json.Unmarshal(body, &patch); err != nil || obj == nil || patch.ResourceVersion != obj.ResourceVersion {
		return nil, &registry.Error{Kind: registry.Conflict}
	}
	next := obj.DeepCopy()
	next.OwnerReferences, next.Finalizers = patch.OwnerReferences, patch.Finalizers
	w.set(next)
	return []byte("{}"), nil
}

// flunder creates one and returns the reference of an object that it owns.
func (w *wardle) flunder(ns, name string, owners ...metav1.OwnerReference) metav1.OwnerReference {
	w.mu.Lock()
	defer w.mu.Unlock()
	uid := types.UID(fmt.Sprintf("flunder-%d", w.last))
	w.set(&metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, UID: uid, OwnerReferences: owners}})
	blocks := true
	return metav1.OwnerReference{APIVersion: "wardle.example.com/v1", Kind: "Flunder", Name: name, UID: uid, BlockOwnerDeletion: &blocks}
}

func (w *wardle) remove(t *testing.T, ns, name string, propagation metav1.DeletionPropagation) {
	t.Helper()
	body, err := json.Marshal(metav1.DeleteOptions{PropagationPolicy: &propagation})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.DeletePath(t.Context(), fmt.Sprintf(flunders, ns)+"/"+name, body); err != nil {
		t.Fatal(err)
	}
}

func (w *wardle) has(ns, name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.objects[fmt.Sprintf(flunders, ns)+"/"+name] != nil
}

func (w *wardle) setDown(down bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = down
	for _, in := range w.watching {
		in.Close()
	}
	w.watching = nil
}

// withWardle is a cluster with an extension server. The test says whether it is available.
func withWardle(t *testing.T) (*controllertest.Cluster, *wardle) {
	w := &wardle{objects: map[string]*metav1.PartialObjectMetadata{}, last: 1, changed: make(chan struct{})}
	c := controllertest.Start(t, func(cfg *controllers.Config) {
		cfg.Gateway, cfg.Controllers = w, []string{"*", "-apiserviceavailability", "-apiserviceregistration", "-csrapproving", "-horizontalpodautoscaler"}
	})
	c.Ready()
	c.Apply(`apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.wardle.example.com}
spec: {group: wardle.example.com, version: v1, groupPriorityMinimum: 1000, versionPriority: 10, service: {namespace: default, name: wardle}}
`)
	setAvailable(c, registrationv1.ConditionTrue)
	w.until(t, func() string {
		if len(w.watching) == 0 {
			return "a watch of flunders"
		}
		return ""
	})
	return c, w
}

func setAvailable(c *controllertest.Cluster, status registrationv1.ConditionStatus) {
	c.T.Helper()
	_, err := registry.For[*registrationv1.APIService](c.Registry).ModifyStatus(c.Context, "", "v1.wardle.example.com", func(s *registrationv1.APIService) error {
		s.Status.Conditions = []registrationv1.APIServiceCondition{{Type: registrationv1.Available, Status: status, Reason: "R", LastTransitionTime: metav1.Now()}}
		return nil
	})
	if err != nil {
		c.T.Fatal(err)
	}
	c.Until(func() string { // the controllers read it as well
		s, err := registry.For[*registrationv1.APIService](c.Registry).Cached(c.Context, "", "v1.wardle.example.com")
		if err != nil || len(s.Status.Conditions) == 0 || s.Status.Conditions[0].Status != status {
			return fmt.Sprintf("the API service to be available: %s", status)
		}
		return ""
	}, apiregistration.APIService)
}

func TestNamespaceDeletionEmptiesExtensionServers(t *testing.T) {
	c, w := withWardle(t)
	c.Apply(controllertest.Shop)
	complete(c, "shop")
	w.flunder("shop", "a")
	w.flunder("default", "b")
	setAvailable(c, registrationv1.ConditionFalse)
	if err := registry.For[*corev1.Namespace](c.Registry).Delete(c.Context, "", "shop", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	const failed = "DiscoveryFailed: Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs: wardle.example.com/v1: stale GroupVersion discovery: wardle.example.com/v1"
	until := func(what corev1.NamespaceConditionType, want string) {
		t.Helper()
		c.Until(func() string {
			ns, ok := controllertest.Get[*corev1.Namespace](c, "", "shop")
			if !ok {
				t.Fatal("the namespace is gone while the server of its flunders does not answer")
			}
			for _, cond := range ns.Status.Conditions {
				if cond.Type == what && cond.Status == corev1.ConditionTrue && cond.Reason+": "+cond.Message == want {
					return ""
				}
			}
			return fmt.Sprintf("the condition %s, have %+v", want, ns.Status.Conditions)
		}, core.Namespace)
	}
	until(corev1.NamespaceDeletionDiscoveryFailure, failed)
	if left := left(c, "shop"); len(left) > 0 {
		t.Errorf("%v are left, which are in etcd", left)
	}
	setAvailable(c, registrationv1.ConditionTrue)
	c.Until(func() string {
		if _, ok := controllertest.Get[*corev1.Namespace](c, "", "shop"); ok {
			return "the namespace to go"
		}
		return ""
	}, core.Namespace)
	if w.has("shop", "a") || !w.has("default", "b") {
		t.Errorf("the namespace's flunder is left: %v, another namespace's: %v", w.has("shop", "a"), w.has("default", "b"))
	}
}

func TestGarbageOfExtensionOwners(t *testing.T) {
	c, w := withWardle(t)
	owned(c, "default", "background", w.flunder("default", "a"))
	owned(c, "default", "foreground", w.flunder("default", "b"))
	owned(c, "default", "kept", w.flunder("default", "c"))
	ghost := w.flunder("default", "ghost")
	w.remove(t, "default", "ghost", metav1.DeletePropagationBackground)
	owned(c, "default", "late", ghost)
	untilLeft(c, "default", "background", "foreground", "kept")
	w.remove(t, "default", "a", metav1.DeletePropagationBackground)
	untilLeft(c, "default", "foreground", "kept")
	w.remove(t, "default", "b", metav1.DeletePropagationForeground)
	untilLeft(c, "default", "kept")
	w.until(t, func() string {
		if w.objects[fmt.Sprintf(flunders, "default")+"/b"] != nil {
			return "the owner to go after its dependent"
		}
		return ""
	})
}

// An owner counts as existing while its server does not answer.
func TestGarbageKeepsWhatCannotBeAsked(t *testing.T) {
	c, w := withWardle(t)
	a := w.flunder("default", "a")
	owned(c, "default", "first", a)
	w.setDown(true)
	ghost := a
	ghost.Name, ghost.UID = "ghost", "nobody"
	owned(c, "default", "kept", ghost)
	owned(c, "default", "stray", metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "ghost", UID: "9"})
	untilLeft(c, "default", "first", "kept")
}

func TestGarbageOfExtensionDependents(t *testing.T) {
	c, w := withWardle(t)
	a, b := owned(c, "default", "a"), owned(c, "default", "b")
	w.flunder("default", "one", ref(core.ConfigMap, a, true))
	w.flunder("default", "both", ref(core.ConfigMap, a, false), ref(core.ConfigMap, b, false))
	deleteMap(c, "a", "Foreground")
	untilLeft(c, "default", "b")
	if w.has("default", "one") {
		t.Error("a flunder is left that blocked its owner")
	}
	w.until(t, func() string {
		if both := w.objects[fmt.Sprintf(flunders, "default")+"/both"]; both == nil || len(both.OwnerReferences) != 1 {
			return fmt.Sprintf("the flunder of two owners to have one, it is %+v", both)
		}
		return ""
	})
}
