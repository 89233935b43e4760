package registry

import (
	"context"
	"time"
)

// stillWait is how long a watch may tell nothing although it is asked how far it is and etcd is ahead.
const stillWait = time.Second

// reach is await for a revision that etcd has. Where nothing comes for a while, the member that the watch is on stands
// still (it is being defragmented, say) and another has told the revision: the watch is opened again, on the next.
func (c *cache) reach(ctx context.Context, rev int64) error {
	for {
		before := c.revision()
		short, cancel := context.WithTimeout(ctx, stillWait)
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
	if c.rev != before || c.cancel == nil || time.Since(c.opened) < stillWait {
		return
	}
	c.log.Warn("watch of etcd stood still, opening another", "rv", c.rev)
	c.cancel()
	c.cancel = nil
}
