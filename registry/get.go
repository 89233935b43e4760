package registry

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"gantry/schema"
)

// Get returns one object. resourceVersion "": consistent; "0": the cache as it is; N: not older than N.
func (r *Registry) Get(ctx context.Context, k *schema.Kind, namespace, name string, resourceVersion string) (*Item, error) {
	c, err := r.cache(k)
	if err != nil {
		return nil, err
	}
	rev, err := parseRevision(k, resourceVersion)
	if err != nil {
		return nil, err
	}
	if _, err := c.freshen(ctx, resourceVersion, rev); err != nil {
		return nil, about(k, name, err)
	}
	relKey := name
	if k.Namespaced {
		relKey = namespace + "/" + name
	}
	c.mu.RLock()
	it := c.view.Get(relKey)
	c.mu.RUnlock()
	if it != nil {
		return it, nil
	}
	if err := c.unreadable(relKey, name); err != nil {
		return nil, err
	}
	return nil, notFound(k, name)
}

// Owned returns from the cache the objects of kind k that name uid among their owners.
func (r *Registry) Owned(ctx context.Context, k *schema.Kind, uid string) ([]*Item, error) {
	c, err := r.cache(k)
	if err != nil {
		return nil, err
	}
	if err := c.await(ctx, 0); err != nil {
		return nil, about(k, "", err)
	}
	return c.owned(uid), nil
}

// Observed waits until the cache of k has seen revision: read your own writes.
func (r *Registry) Observed(ctx context.Context, k *schema.Kind, revision int64) error {
	c, err := r.cache(k)
	if err != nil {
		return err
	}
	return c.await(ctx, revision)
}

// parseRevision reads a resourceVersion parameter; "" is 0.
func parseRevision(k *schema.Kind, text string) (int64, error) {
	rev, err := parseNumber(text)
	if err != nil {
		return 0, newError(k, "", BadRevision, fmt.Sprintf("resourceVersion: Invalid value: %q: %v", text, err))
	}
	return rev, nil
}

// parseNumber reads the number that a resourceVersion is; "" is 0.
func parseNumber(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	rev, err := strconv.ParseUint(text, 10, 63)
	return int64(rev), err
}

// freshWait is how long a read waits for a revision that the cache has not seen: as long as Kubernetes does.
const freshWait = 3 * time.Second

// freshen makes the cache as new as a read without resourceVersionMatch asks for: "" the store's revision now, "0"
// anything, N: N.
func (c *cache) freshen(ctx context.Context, text string, rev int64) (int64, error) {
	switch {
	case text == "":
		return c.consistent(ctx)
	case rev == 0:
		return 0, c.await(ctx, 0)
	}
	if err := c.await(ctx, 0); err != nil {
		return 0, err
	}
	short, cancel := context.WithTimeout(ctx, freshWait)
	defer cancel()
	err := c.await(short, rev)
	if err != nil && ctx.Err() == nil && short.Err() != nil {
		return 0, tooLarge(rev, c.revision())
	}
	return rev, err
}

// tooLarge is the error of a read at a revision that is not there yet.
func tooLarge(rev, current int64) error {
	return &Error{
		Kind: Timeout, RetryAfter: time.Second,
		Reason: fmt.Sprintf("Too large resource version: %d, current: %d", rev, current),
	}
}

// unreadable is the error of a Get of a value under quarantine; nil: it is under none.
func (c *cache) unreadable(relKey, name string) error {
	err := c.bad.Err(relKey)
	if err == nil {
		return nil
	}
	e := newError(c.kind, name, Unreadable, "the value stored at %s%s cannot be read: %v", c.prefix, relKey, err)
	e.Cause = err
	return e
}
