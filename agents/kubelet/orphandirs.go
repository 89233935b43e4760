package kubelet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gantry/registry"
	"gantry/schema/core"
)

// How often directories of pods that are not known any more are searched for.
const (
	orphanedDirsEvery = 10 * time.Minute
	orphanedDirsRetry = 10 * time.Second
)

// removeOrphanedDirs removes links and directories of pods that were gone before this kubelet began, with no container left.
func (k *kubelet) removeOrphanedDirs(ctx context.Context) error {
	timer := time.NewTimer(orphanedDirsRetry)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		wait := orphanedDirsEvery
		if err := k.removeOrphanedDirsOnce(ctx); err != nil && ctx.Err() == nil {
			wait = orphanedDirsRetry
			k.log.Warn("orphaned pod directories not removed", "after", wait, "err", err)
		}
		timer.Reset(wait)
	}
}

func (k *kubelet) removeOrphanedDirsOnce(ctx context.Context) error {
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
	var errs []error
	for _, uid := range uids {
		if known[uid] || !validUID.MatchString(uid) {
			continue
		}
		if err := k.release(ctx, uid, nil); err != nil {
			errs = append(errs, fmt.Errorf("removing the directory of pod %s: %w", uid, err))
			continue
		}
		k.log.Info("orphaned pod directory removed", "uid", uid)
	}
	return errors.Join(errs...)
}
