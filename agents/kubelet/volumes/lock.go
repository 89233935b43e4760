package volumes

import (
	"context"
	"errors"
)

// podState is what is known of one pod's volumes. Whoever holds the lock owns them, on disk and here, but for what Volumes.mu guards.
type podState struct {
	held   chan struct{} // the lock: a token
	tokens map[string]issued

	// Guarded by Volumes.mu.
	users     int                // calls that hold the lock or wait for it
	cancel    context.CancelFunc // ends what the holder waits for
	unmounted bool               // since the last Mount
	removed   bool               // nothing is left on disk: the last user forgets the state
}

// errUnmounted tells that an Unmount came while a call was under way.
var errUnmounted = errors.New("the volumes are being unmounted")

// lock makes the caller the only one that works on a pod's volumes, until unlock. The ctx returned is done too when the pod's volumes
// are to be unmounted. With toUnmount it ends what the present holder waits for, and refreshes that wait do nothing.
func (v *Volumes) lock(ctx context.Context, uid string, toUnmount bool) (_ context.Context, p *podState, unlock func(), err error) {
	v.mu.Lock()
	p = v.pods[uid]
	if p == nil {
		p = &podState{held: make(chan struct{}, 1), tokens: map[string]issued{}}
		v.pods[uid] = p
	}
	p.users++
	if toUnmount {
		p.unmounted = true
		if p.cancel != nil {
			p.cancel()
		}
	}
	v.mu.Unlock()
	leave := func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		p.users--
		if p.users == 0 && p.removed {
			delete(v.pods, uid)
		}
	}
	select {
	case p.held <- struct{}{}:
	case <-ctx.Done():
		leave()
		return nil, nil, nil, context.Cause(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	v.mu.Lock()
	p.cancel = func() { cancel(errUnmounted) }
	v.mu.Unlock()
	return ctx, p, func() {
		cancel(nil)
		<-p.held
		leave()
	}, nil
}

// mark notes whether the pod's volumes are unmounted, and whether nothing of them is left.
func (v *Volumes) mark(p *podState, unmounted, removed bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	p.unmounted, p.removed = unmounted, removed
}

func (v *Volumes) isUnmounted(p *podState) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return p.unmounted
}
