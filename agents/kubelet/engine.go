package kubelet

import (
	"context"
	"fmt"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"

	"gantry/agents/kubelet/pause"
)

// The wait between attempts to reach the engine.
const (
	engineFirstRetry = 100 * time.Millisecond
	engineLastRetry  = 5 * time.Second
)

// watchEngine tells workers which containers changed, by one stream of the engine's events; whenever that begins anew,
// everything is listed once.
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
		k.node.look()
		k.log.Warn("engine lost", "after", wait, "err", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
		wait = min(2*wait, engineLastRetry)
	}
}

// watched are the events that change what a worker knows.
var watched = []events.Action{events.ActionStart, events.ActionDie, events.ActionDestroy, events.ActionOOM}

// engineSession serves one connection to the engine until that breaks.
func (k *kubelet) engineSession(ctx context.Context) error {
	if err := checkDocker(ctx, k.docker); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f := filters.NewArgs(filters.Arg("type", string(events.ContainerEventType)), filters.Arg("label", labelNode+"="+k.cfg.NodeName))
	for _, a := range watched {
		f.Add("event", string(a))
	}
	// The stream first: what changes between it and the list is seen twice, never missed.
	stream, errs := k.docker.Events(ctx, events.ListOptions{Filters: f})
	if err := k.prepareEngine(ctx); err != nil {
		return err
	}
	if err := k.listContainers(ctx); err != nil {
		return err
	}
	k.setEngineFault(nil)
	if !k.synced.Swap(true) {
		k.log.Info("engine adopted", "pods", len(k.allWorkers()))
	}
	k.nudgeAll()
	k.node.look()
	for {
		select {
		case err := <-errs:
			return fmt.Errorf("reading the engine's events: %w", err)
		case m := <-stream:
			l := m.Actor.Attributes
			ref := podRef{l[labelPodNamespace], l[labelPodName], l[labelPodUID]}
			k.tell(ref, validUID.MatchString(ref.uid), func(in *inbox) { in.dirty[m.Actor.ID] = true })
		}
	}
}

// prepareEngine loads the pause image and learns what the engine can, once.
func (k *kubelet) prepareEngine(ctx context.Context) error {
	if err := loadPause(ctx, k.docker, k.goarch); err != nil {
		return err
	}
	if k.synced.Load() {
		return nil
	}
	e, err := detect(ctx, k.docker, k.cfg.NodeName, k.cfg.DataDir, pause.Reference)
	if err != nil {
		return err
	}
	k.engine = e
	return nil
}

// listContainers tells every pod's worker of all its containers; what is not listed is gone.
func (k *kubelet) listContainers(ctx context.Context) error {
	list, err := k.docker.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", labelNode+"="+k.cfg.NodeName))})
	if err != nil {
		return fmt.Errorf("listing the engine's containers: %w", err)
	}
	ids := map[podRef][]string{}
	for _, c := range list {
		ref := podRef{c.Labels[labelPodNamespace], c.Labels[labelPodName], c.Labels[labelPodUID]}
		if validUID.MatchString(ref.uid) {
			ids[ref] = append(ids[ref], c.ID)
		}
	}
	for _, w := range k.allWorkers() {
		if len(ids[w.ref]) == 0 {
			w.tell(func(in *inbox) { in.resync = true })
		}
	}
	if !k.synced.Load() {
		for ref := range ids {
			k.room.expect(ref.uid)
		}
	}
	for ref, list := range ids {
		k.tell(ref, true, func(in *inbox) {
			in.resync = true
			for _, id := range list {
				in.dirty[id] = true
			}
		})
	}
	return nil
}
