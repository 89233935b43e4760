package kubelet

import (
	"context"
	"sync"

	"gantry/agents/kubelet/engine"
)

// enqueue changes the inbox of a pod's worker and wakes it; create creates a worker where there is none.
func (k *kubelet) enqueue(ref engine.PodRef, create bool, change func(*inbox)) {
	k.mu.Lock()
	defer k.mu.Unlock() // until the inbox is changed: removeWorker sees the change, or this sees no worker
	w := k.workers[ref.UID]
	if w == nil {
		if !create {
			return
		}
		w = newWorker(k, ref)
		k.workers[ref.UID] = w
		k.unstarted = append(k.unstarted, w)
		select {
		case k.workersCreated <- struct{}{}:
		default:
		}
	}
	w.enqueue(change)
}

// runWorkers runs the workers that are created, and waits for all.
func (k *kubelet) runWorkers(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		k.mu.Lock()
		unstarted := k.unstarted
		k.unstarted = nil
		k.mu.Unlock()
		for _, w := range unstarted {
			wg.Go(func() { w.run(ctx) })
		}
		select {
		case <-k.workersCreated:
		case <-ctx.Done():
			return nil
		}
	}
}

// removeWorker removes a worker whose pod has nothing left, and tells whether it did: not when its inbox has something new.
func (k *kubelet) removeWorker(w *worker) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.inbox.pod != nil || len(w.inbox.dirty) > 0 {
		return false
	}
	delete(k.workers, w.ref.UID)
	k.reservations.Remove(w.ref.UID)
	return true
}

// wakeWorker has a pod's worker step again.
func (k *kubelet) wakeWorker(uid string) {
	k.mu.Lock()
	w := k.workers[uid]
	k.mu.Unlock()
	if w != nil {
		w.wakeUp()
	}
}

// wakeWorkers has every worker step again.
func (k *kubelet) wakeWorkers() {
	for _, w := range k.allWorkers() {
		w.wakeUp()
	}
}

func (k *kubelet) allWorkers() []*worker {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := make([]*worker, 0, len(k.workers))
	for _, w := range k.workers {
		all = append(all, w)
	}
	return all
}
