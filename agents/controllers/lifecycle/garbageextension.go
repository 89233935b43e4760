package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	registrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"gantry/agents/controllers/controller"
	"gantry/agents/controllers/extension"
	"gantry/registry"
	"gantry/registry/safely"
	"gantry/schema"
)

const (
	extensionKey = "extension " // followed by the uid of an object of an extension server
	// extensionsEvery is how often extension servers are asked for what they serve.
	extensionsEvery = time.Minute
	// askOwnerEvery is how often an owner is asked for whose server does not answer. Until then it counts as existing.
	askOwnerEvery = 30 * time.Second
)

// extensionObjects are the objects of extension servers, as their watches tell.
type extensionObjects struct {
	client  *extension.Client
	garbage *garbage
	changed chan struct{} // has an element after a change of an API service

	mu        sync.Mutex // guards what follows
	resources extension.Resources
	objects   map[types.UID]extensionObject
	dependent map[types.UID]map[types.UID]bool // the uids of objects by those of their owners
}

type extensionObject struct {
	*metav1.PartialObjectMetadata
	resource *extension.Resource
}

func newExtensionObjects(client *extension.Client, c *garbage) *extensionObjects {
	return &extensionObjects{
		client: client, garbage: c, changed: make(chan struct{}, 1),
		objects: map[types.UID]extensionObject{}, dependent: map[types.UID]map[types.UID]bool{},
	}
}

// rediscover makes run look for extension servers.
func (x *extensionObjects) rediscover() {
	select {
	case x.changed <- struct{}{}:
	default:
	}
}

// run follows the objects that can be deleted, listed and watched, until ctx is done.
func (x *extensionObjects) run(ctx context.Context) error {
	var following sync.WaitGroup
	defer following.Wait()
	ctx, end := context.WithCancel(ctx)
	defer end()
	again := time.NewTicker(extensionsEvery)
	defer again.Stop()
	ends := map[kschema.GroupVersionResource]context.CancelFunc{}
	for {
		wanted, err := x.discover(ctx)
		if err != nil && ctx.Err() == nil {
			x.garbage.Log.Warn("extension servers not asked", "err", err)
		}
		for gvr, end := range ends {
			if err == nil && wanted[gvr] == nil {
				end()
				delete(ends, gvr)
			}
		}
		for gvr, r := range wanted {
			if ends[gvr] != nil {
				continue
			}
			ctx, end := context.WithCancel(ctx)
			ends[gvr] = end
			following.Go(func() {
				defer x.forget(r)
				_ = safely.Keep(ctx, x.garbage.Log, "following "+r.Name(), func(ctx context.Context) error { x.follow(ctx, r); return nil })
			})
		}
		select {
		case <-ctx.Done():
			return nil
		case <-x.changed:
		case <-again.C:
		}
	}
}

// discover asks extension servers for what they serve and returns what is to be followed. What cannot be asked for is served on.
func (x *extensionObjects) discover(ctx context.Context) (map[kschema.GroupVersionResource]*extension.Resource, error) {
	found, err := x.client.Discover(ctx)
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, r := range x.resources {
		if _, failed := found.Failed[r.GroupVersion()]; failed {
			found.Resources = append(found.Resources, r)
		}
	}
	x.resources = found.Resources
	wanted := map[kschema.GroupVersionResource]*extension.Resource{}
	for _, r := range found.Resources.Preferred() {
		if r.Can("delete", "list", "watch") {
			wanted[r.GroupVersionResource] = r
		}
	}
	return wanted, nil
}

func (x *extensionObjects) follow(ctx context.Context, r *extension.Resource) {
	failed := func(err error) {
		x.garbage.Log.Warn("objects of an extension server not followed", "resource", r.Name(), "err", err)
	}
	x.client.Follow(ctx, r, failed, func(old, current *metav1.PartialObjectMetadata) {
		var before, now schema.Object // nil interfaces where there is none
		if old != nil {
			before = old
			x.set(old.UID, nil, r)
		}
		if current != nil {
			now = current
			x.set(current.UID, current, r)
		}
		x.garbage.onChange(nil, before, now)
	})
}

// forget drops the objects of a resource that is followed no more.
func (x *extensionObjects) forget(r *extension.Resource) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for uid, obj := range x.objects {
		if obj.resource == r {
			x.drop(uid)
		}
	}
}

func (x *extensionObjects) set(uid types.UID, obj *metav1.PartialObjectMetadata, r *extension.Resource) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.drop(uid)
	if obj == nil {
		return
	}
	x.objects[uid] = extensionObject{obj, r}
	for _, ref := range obj.OwnerReferences {
		if x.dependent[ref.UID] == nil {
			x.dependent[ref.UID] = map[types.UID]bool{}
		}
		x.dependent[ref.UID][uid] = true
	}
}

// drop is set without an object. The caller holds mu.
func (x *extensionObjects) drop(uid types.UID) {
	old, ok := x.objects[uid]
	if !ok {
		return
	}
	delete(x.objects, uid)
	for _, ref := range old.OwnerReferences {
		delete(x.dependent[ref.UID], uid)
		if len(x.dependent[ref.UID]) == 0 {
			delete(x.dependent, ref.UID)
		}
	}
}

// owned are the objects that name an owner.
func (x *extensionObjects) owned(owner types.UID) (out []*metav1.PartialObjectMetadata) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for uid := range x.dependent[owner] {
		out = append(out, x.objects[uid].PartialObjectMetadata)
	}
	return out
}

func (x *extensionObjects) object(uid types.UID) (extensionObject, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	obj, ok := x.objects[uid]
	return obj, ok
}

func (x *extensionObjects) resource(apiVersion, kind string) *extension.Resource {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.resources.Of(apiVersion, kind)
}

// serve tells whether a version of a group is an extension server's.
func (x *extensionObjects) serve(ctx context.Context, apiVersion string) bool {
	gv, err := kschema.ParseGroupVersion(apiVersion)
	if err != nil || gv.Group == "" {
		return false
	}
	s, err := registry.For[*registrationv1.APIService](x.client.Registry).Cached(ctx, "", gv.Version+"."+gv.Group)
	return err == nil && s.Spec.Service != nil
}

// reconcileExtension is reconcile of an object of an extension server.
func (c *garbage) reconcileExtension(ctx context.Context, uid types.UID) (time.Duration, error) {
	obj, ok := c.extensions.object(uid)
	switch {
	case !ok:
		return 0, nil
	case waitsForDependents(obj):
		return 0, c.finalize(ctx, nil, obj.PartialObjectMetadata)
	case obj.DeletionTimestamp != nil || len(obj.OwnerReferences) == 0:
		return 0, nil
	}
	return c.askAgain(c.syncOwned(ctx, nil, obj.PartialObjectMetadata))
}

// errNotAsked is that of an owner whose server does not answer.
var errNotAsked = errors.New("the owner's server does not answer")

// askAgain is when an object is reconciled again whose owner's server does not answer.
func (c *garbage) askAgain(err error) (time.Duration, error) {
	if errors.Is(err, errNotAsked) {
		c.Log.Debug("dependent kept", "err", err)
		return askOwnerEvery, nil
	}
	return 0, err
}

// extensionOwner is owner of a kind that is not in the registry: of an extension server, or of nobody. One whose server cannot be asked is no evidence.
func (c *garbage) extensionOwner(ctx context.Context, k *schema.Kind, obj schema.Object, ref metav1.OwnerReference) (ownerState, error) {
	namespace := obj.GetNamespace()
	if known, ok := c.extensions.object(ref.UID); ok && known.Name == ref.Name && (known.Namespace == "" || known.Namespace == namespace) {
		return stateOf(known), nil
	}
	r := c.extensions.resource(ref.APIVersion, ref.Kind)
	switch {
	case r == nil && c.extensions.serve(ctx, ref.APIVersion):
		return ownerSolid, errNotAsked
	case r == nil || !r.Can("get"):
		return ownerSolid, nil
	case r.Namespaced && namespace == "":
		c.recordInvalidNamespace(k, obj, ref)
		return ownerSolid, nil
	}
	found, err := c.extensions.client.Get(ctx, r, namespace, ref.Name)
	switch {
	case errors.Is(err, registry.NotFound), err == nil && found.UID != ref.UID:
		return ownerDangling, nil
	case err != nil:
		return ownerSolid, fmt.Errorf("%w: %w", errNotAsked, err)
	}
	return stateOf(found), nil
}

// execute does a plan of which some objects are of extension servers.
func (c *garbage) execute(ctx context.Context, plan []controller.Action) error {
	for i, a := range plan {
		if a.Kind != nil {
			continue
		}
		if err := c.Execute(ctx, plan[:i]); err != nil {
			return err
		}
		if err := c.executeExtension(ctx, a); err != nil {
			return err
		}
		return c.execute(ctx, plan[i+1:])
	}
	return c.Execute(ctx, plan)
}

func (c *garbage) executeExtension(ctx context.Context, a controller.Action) (err error) {
	known, ok := c.extensions.object(a.Object.GetUID())
	if !ok {
		return nil // it is gone, or followed no more
	}
	switch a.Do {
	case controller.Delete:
		err = c.extensions.client.Delete(ctx, known.resource, a.Object, metav1.DeletionPropagation(a.DeleteOptions.Propagation))
	case controller.Update:
		err = c.extensions.client.UpdateMeta(ctx, known.resource, a.Object)
	default:
		err = fmt.Errorf("%s %s: extension servers are not asked that", a.Do, known.resource.Name())
	}
	if errors.Is(err, registry.NotFound) {
		return nil
	}
	if err == nil {
		c.Log.Info("object of an extension server changed", "do", a.Do, "resource", known.resource.Name(), "ns", a.Object.GetNamespace(), "name", a.Object.GetName(), "reason", a.Reason)
	}
	return err
}
