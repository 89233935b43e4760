package kubelet

import (
	"context"
	"fmt"
	"time"

	"gantry/registry"
	"gantry/schema/core"
)

// How often directories of pods that nobody knows any more are looked for.
const (
	sweepEvery = 10 * time.Minute
	sweepRetry = 10 * time.Second
)

// sweep removes links and directories of pods that were gone before this kubelet began, containers and all.
func (k *kubelet) sweep(ctx context.Context) error {
	timer := time.NewTimer(sweepRetry)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		wait := sweepEvery
		if err := k.sweepOnce(ctx); err != nil && ctx.Err() == nil {
			wait = sweepRetry
			k.log.Warn("sweep failed", "after", wait, "err", err)
		}
		timer.Reset(wait)
	}
}

func (k *kubelet) sweepOnce(ctx context.Context) error {
	if !k.synced.Load() {
		return nil
	}
	uids, err := k.volumes.Pods() // before the pods: a directory is made for a pod that is there
	if err != nil {
		return fmt.Errorf("listing the pods' directories: %w", err)
	}
	list, err := k.cfg.Registry.List(ctx, core.Pod, "", registry.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing the node's pods: %w", err)
	}
	known := map[string]bool{}
	for _, it := range list.Items {
		known[it.UID()] = true
	}
	for _, w := range k.allWorkers() {
		known[w.ref.UID] = true
	}
	for _, uid := range uids {
		if known[uid] || !validUID.MatchString(uid) {
			continue
		}
		if err := k.release(ctx, uid, nil); err != nil {
			return err
		}
		k.log.Info("pod directory swept", "uid", uid)
	}
	return nil
}
