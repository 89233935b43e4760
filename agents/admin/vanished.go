package admin

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/urfave/cli/v2"

	"gantry/registry"
	"gantry/registry/bynode"
	"gantry/registry/history"
	"gantry/registry/store"
	"gantry/schema/core"
)

// undoVanished puts the pods back that were deleted past the API, from their copies by node: as they were, with uid, node and status.
func undoVanished(c *cli.Context, s *session) error {
	if args := c.Args().Slice(); len(args) != 1 || c.IsSet("rev") {
		return errors.New("usage: gantry undo pods --vanished")
	} else if k, err := kindOf(s.kinds, args[0]); err != nil || k != core.Pod {
		return fmt.Errorf("--vanished restores pods, not %q", args[0])
	}
	check := func(copied *store.KV) error {
		namespace, name, _ := bynode.PodOf(copied.Key)
		_, err := registry.Read(s.kinds, registry.Key(core.Pod, namespace, name), &history.Version{Revision: copied.ModRevision, Value: copied.Value})
		return err
	}
	if c.Bool("dry-run") {
		return s.listVanished(check)
	}
	done, err := bynode.Restore(s.ctx, store.NewVersionGuard(s.store, discardLog()), userName()+" (gantry undo)", check)
	for _, pod := range done.Restored {
		fmt.Fprintf(s.out, "pod %s: restored as it was\n", pod)
	}
	for _, pod := range slices.Sorted(maps.Keys(done.Skipped)) {
		fmt.Fprintf(s.notes, "pod %s: its copy cannot be read: %v\n", pod, done.Skipped[pod])
	}
	if err == nil && len(done.Restored)+len(done.Skipped) == 0 {
		fmt.Fprintln(s.notes, "no pod has vanished: each copy by node has its pod")
	}
	return err
}

// listVanished prints what undoVanished would do.
func (s *session) listVanished(check func(*store.KV) error) error {
	orphans, err := bynode.Orphans(s.ctx, s.store)
	if err != nil {
		return err
	}
	for _, kv := range orphans {
		namespace, name, _ := bynode.PodOf(kv.Key)
		if err := check(kv); err != nil {
			fmt.Fprintf(s.notes, "pod %s/%s: its copy cannot be read: %v\n", namespace, name, err)
			continue
		}
		fmt.Fprintf(s.out, "pod %s/%s: would be restored as it was at revision %d (dry run)\n", namespace, name, kv.ModRevision)
	}
	return nil
}
