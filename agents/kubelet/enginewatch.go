package kubelet

import (
	"context"
	"time"

	"gantry/agents/kubelet/engine"
)

// The wait between attempts to reach the engine.
const (
	engineFirstRetry = 100 * time.Millisecond
	engineLastRetry  = 5 * time.Second
)

// watchEngine gives workers the IDs of containers that changed, by one stream of the engine's events; whenever that begins,
// all containers are listed once.
func (k *kubelet) watchEngine(ctx context.Context) error {
	wait := engineFirstRetry
	for {
		begin := time.Now()
		err := k.engineSession(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(begin) > time.Minute {
			wait = engineFirstRetry
		}
		k.setEngineFault(err)
		k.node.Wake()
		k.log.Warn("engine lost", "after", wait, "err", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
		wait = min(2*wait, engineLastRetry)
	}
}

// engineSession serves one connection to the engine until that breaks.
func (k *kubelet) engineSession(ctx context.Context) error {
	if err := k.engine.Check(ctx); err != nil {
		return err
	}
	begin := func() error {
		if err := k.engine.Prepare(ctx); err != nil {
			return err
		}
		if err := k.listContainers(ctx); err != nil {
			return err
		}
		k.setEngineFault(nil)
		if !k.synced.Swap(true) {
			k.log.Info("engine adopted", "pods", len(k.allWorkers()))
		}
		k.wakeWorkers()
		k.node.Wake()
		return nil
	}
	// What changes between the first event and the list is seen twice, never missed.
	return k.engine.Watch(ctx, begin, func(ref engine.Ref) {
		k.enqueue(ref.Pod, validUID.MatchString(ref.Pod.UID), func(in *inbox) { in.dirty[ref.ID] = true })
	})
}

// listContainers gives every pod's worker the IDs of all its containers; what is not listed is gone.
func (k *kubelet) listContainers(ctx context.Context) error {
	list, err := k.engine.List(ctx)
	if err != nil {
		return err
	}
	ids := map[engine.PodRef][]string{}
	for _, c := range list {
		if validUID.MatchString(c.Pod.UID) {
			ids[c.Pod] = append(ids[c.Pod], c.ID)
		}
	}
	for _, w := range k.allWorkers() {
		if len(ids[w.ref]) == 0 {
			w.enqueue(func(in *inbox) { in.resync = true })
		}
	}
	if !k.synced.Load() {
		for ref := range ids {
			k.reservations.Expect(ref.UID)
		}
	}
	for ref, list := range ids {
		k.enqueue(ref, true, func(in *inbox) {
			in.resync = true
			for _, id := range list {
				in.dirty[id] = true
			}
		})
	}
	return nil
}
