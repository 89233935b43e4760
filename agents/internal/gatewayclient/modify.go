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

// The tries of a Modify that meets other writers, and the pause between them.
const (
	modifyTries = 16
	modifyPause = 10 * time.Millisecond
)

// Modify is registry.API's Modify. The first try starts from the object as this client last saw it, which saves a
// trip; where that turns out to be old, or nothing seems to be left to change, it is read anew.
func (c *Client) Modify(ctx context.Context, k *schema.Kind, namespace, name string, change func(current schema.Object) (schema.Object, error), o registry.WriteOptions) (*registry.Item, error) {
	cl := call{kind: k, namespace: namespace, name: name}
	item, fresh := c.recall(cl.key()), false
	for try := 1; ; try++ {
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
		case err != nil && fresh && (!errors.Is(err, registry.Conflict) || o.ResourceVersion != "" || try >= modifyTries):
			return nil, err
		}
		if err != nil && fresh {
			if err := pause(ctx, cl, rand.N(modifyPause*time.Duration(try))); err != nil {
				return nil, err
			}
		}
		item = nil
	}
}

// modifyOnce changes a copy of item and swaps it in; written is false where the copy is equal.
func (c *Client) modifyOnce(ctx context.Context, item *registry.Item, change func(schema.Object) (schema.Object, error), o registry.WriteOptions) (*registry.Item, bool, error) {
	current := item.Object().DeepCopyObject().(schema.Object)
	current.SetResourceVersion(revision(item))
	if o.ResourceVersion != "" && o.ResourceVersion != revision(item) || o.UID != "" && o.UID != string(current.GetUID()) {
		e := call{kind: item.Kind, name: item.Name}.fault(registry.Conflict, nil)
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
		return cl.fault(registry.Timeout, ctx.Err())
	}
}

// maxLast bounds how many objects are remembered.
const maxLast = 1024

// remember keeps an object as it was last seen.
func (c *Client) remember(item *registry.Item) {
	key := call{kind: item.Kind, namespace: item.Namespace, name: item.Name}.key()
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.last[key]; old != nil && old.Revision > item.Revision {
		return
	}
	if len(c.last) >= maxLast {
		clear(c.last)
	}
	c.last[key] = item
}

func (c *Client) recall(key string) *registry.Item {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last[key]
}

func (c *Client) forget(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.last, key)
}
