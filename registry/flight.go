package registry

import "context"

// flight is a write on its way that replaces one revision of a key.
type flight struct {
	rev  int64
	over chan struct{} // closed when its outcome is known
}

// takeOff waits until no other write of this process is about to replace the same revision: of those that name it, one
// can win, and the others need neither be decided nor sent to etcd to lose. land tells the next.
func (w *writes) takeOff(ctx context.Context, key string, rev int64) (land func(), err error) {
	for {
		w.mu.Lock()
		before := w.flights[key]
		if before == nil || before.rev != rev {
			mine := &flight{rev: rev, over: make(chan struct{})}
			if w.flights == nil {
				w.flights = map[string]*flight{}
			}
			w.flights[key] = mine
			w.mu.Unlock()
			return func() { w.land(key, mine) }, nil
		}
		w.mu.Unlock()
		select {
		case <-before.over:
		case <-ctx.Done():
			return nil, ctxError(ctx)
		}
	}
}

func (w *writes) land(key string, f *flight) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.flights[key] == f {
		delete(w.flights, key)
	}
	close(f.over)
}
