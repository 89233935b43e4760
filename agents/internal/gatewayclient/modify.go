package gatewayclient

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"gantry/registry"
	"gantry/schema"
)

// The attempts of a Modify with conflicts, and the longest pause after the first.
const (
	modifyAttempts = 16
	modifyPause    = 10 * time.Millisecond
)

// Modify is registry.API's Modify. The first attempt starts from the cached object, which saves a
// request. Where that is outdated, or change returns it unchanged, the object is read again.
func (c *Client) Modify(ctx context.Context, k *schema.Kind, namespace, name string, change func(current schema.Object) (schema.Object, error), o registry.WriteOptions) (*registry.Item, error) {
	cl := call{kind: k, namespace: namespace, name: name}
	item, fresh := c.cachedItem(cl.key()), false
	for attempt := 1; ; attempt++ {
		if item == nil {
			var err error
			if item, err = c.Get(ctx, k, namespace, name, ""); err != nil {
				return nil, err
			}
			fresh = true
		}
		out, written, err := c.modifyOnce(ctx, item, change, o)
		switch {
		case err == nil && (written || fresh):
			return out, nil
		case err != nil && fresh && (!errors.Is(err, registry.Conflict) || o.ResourceVersion != "" || attempt >= modifyAttempts):
			return nil, err
		}
		if err != nil && fresh {
			if err := pause(ctx, cl, rand.N(modifyPause*time.Duration(attempt))); err != nil {
				return nil, err
			}
		}
		item = nil
	}
}

// modifyOnce changes a copy of item and updates the object with it; written is false where the copy is equal to item.
func (c *Client) modifyOnce(ctx context.Context, item *registry.Item, change func(schema.Object) (schema.Object, error), o registry.WriteOptions) (_ *registry.Item, written bool, err error) {
	current := item.Object().DeepCopyObject().(schema.Object)
	current.SetResourceVersion(revision(item))
	if o.ResourceVersion != "" && o.ResourceVersion != revision(item) || o.UID != "" && o.UID != string(current.GetUID()) {
		e := call{kind: item.Kind, name: item.Name}.errorOf(registry.Conflict, nil)
		e.Reason = "the object has been modified; please apply your changes to the latest version and try again"
		return nil, false, e
	}
	before, err := encode(item.Kind, current)
	if err != nil {
		return nil, false, err
	}
	changed, err := change(current)
	if err != nil {
		return nil, false, err
	}
	if changed.GetResourceVersion() == "" {
		changed.SetResourceVersion(revision(item))
	}
	after, err := encode(item.Kind, changed)
	if err != nil {
		return nil, false, err
	}
	if bytes.Equal(before, after) {
		return item, false, nil
	}
	out, err := c.Update(ctx, item.Kind, changed, o)
	return out, true, err
}

func pause(ctx context.Context, cl call, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return cl.errorOf(registry.Timeout, ctx.Err())
	}
}

// maxCached bounds the cached objects; a full cache is cleared.
const maxCached = 1024

// cache keeps an object for the next Modify, unless a newer one is cached.
func (c *Client) cache(item *registry.Item) {
	key := call{kind: item.Kind, namespace: item.Namespace, name: item.Name}.key()
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.cached[key]; old != nil && old.Revision > item.Revision {
		return
	}
	if len(c.cached) >= maxCached {
		clear(c.cached)
	}
	c.cached[key] = item
}

// cachedItem returns the cached object; nil: there is none.
func (c *Client) cachedItem(key string) *registry.Item {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cached[key]
}

func (c *Client) dropCached(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.cached, key)
}
