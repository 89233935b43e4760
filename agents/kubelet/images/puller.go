// Package images pulls images for the node's pods, and says what their names and pull policies mean.
package images

import (
	"context"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/engine"
	"gantry/registry/safely"
)

// Puller pulls images: one pull per image at a time, however many pods ask.
type Puller struct {
	engine engine.Engine
	mu     sync.Mutex // guards pulls
	pulls  map[string]*pull
}

// NewPuller returns a Puller; it starts nothing.
func NewPuller(e engine.Engine) *Puller { return &Puller{engine: e, pulls: map[string]*pull{}} }

// pull is one pull under way; done is closed at its end, then err says how it went.
type pull struct {
	done    chan struct{}
	waiting int
	cancel  context.CancelFunc
	err     error
}

// Pull pulls an image, joining a pull of it that is under way. With ctx done it returns at once; a pull without
// waiters is cancelled. secrets are the credentials of the call that begins it.
func (p *Puller) Pull(ctx context.Context, ref string, secrets []*corev1.Secret) error {
	p.mu.Lock()
	c := p.pulls[ref]
	if c == nil {
		pctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		c = &pull{done: make(chan struct{}), cancel: cancel}
		p.pulls[ref] = c
		go func() { // ends when its last waiter has left or the engine is done
			c.err = safely.Call(func() error { return p.engine.Pull(pctx, ref, secrets) })
			p.mu.Lock()
			delete(p.pulls, ref)
			p.mu.Unlock()
			cancel()
			close(c.done)
		}()
	}
	c.waiting++
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if c.waiting--; c.waiting == 0 {
			c.cancel()
		}
	}()
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return ctx.Err()
	}
}
