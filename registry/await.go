package registry

import (
	"context"
	"errors"
	"time"
)

// await waits until the cache has seen every change up to rev; 0: until it is filled.
func (c *cache) await(ctx context.Context, rev int64) error {
	c.start()
	var over func()
	for {
		c.mu.RLock()
		filled, seen, advanced := c.filled, c.filled && (rev == 0 || c.rev >= rev && !c.stale), c.advanced
		c.mu.RUnlock()
		if seen {
			return nil
		}
		if filled && over == nil {
			over = c.reads.progress.Wait(c.prefix)
			defer over()
		}
		select {
		case <-advanced:
		case <-ctx.Done():
			return c.timeoutError(ctx)
		case <-c.removed:
			return c.notServed()
		case <-c.reads.done:
			return errEnded
		}
	}
}

// timeoutError is the error of a read after its deadline, with what the cache waits for.
func (c *cache) timeoutError(ctx context.Context) error {
	c.mu.RLock()
	err := c.syncErr
	c.mu.RUnlock()
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &Error{Kind: Unavailable, Resource: c.kind.Plural, Group: c.kind.Group, Cause: err}
	}
	return ctxError(ctx)
}

// consistent waits until the cache is as new as the store is now, and returns that revision.
func (c *cache) consistent(ctx context.Context) (int64, error) {
	c.start()
	before := c.revision()
	rev, err := c.reads.index.Revision(ctx, c.reads.done)
	if err != nil {
		return 0, err
	}
	if rev < before {
		c.interrupt(rev)
	}
	return rev, c.awaitOrReopen(ctx, rev)
}

// stalledAfter is how long a watch may send nothing although its progress is requested and etcd is ahead.
const stalledAfter = time.Second

// awaitOrReopen is await for a revision that etcd has. Where nothing comes for a while, the member that serves the watch is stalled (it is being
// defragmented, say) and another one answered the read of the revision: the watch is opened again, on the next member.
func (c *cache) awaitOrReopen(ctx context.Context, rev int64) error {
	for {
		before := c.revision()
		short, cancel := context.WithTimeout(ctx, stalledAfter)
		err := c.await(short, rev)
		late := short.Err() != nil && ctx.Err() == nil
		cancel()
		if err == nil || !late {
			return err
		}
		c.reopen(before)
	}
}

// reopen ends the open watch, so that run opens another, unless something has come since the cache was at before.
func (c *cache) reopen(before int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rev != before || c.cancel == nil || time.Since(c.opened) < stalledAfter {
		return
	}
	c.log.Warn("watch of etcd stalled, opening another", "rv", c.rev)
	c.cancel()
	c.cancel = nil
}
