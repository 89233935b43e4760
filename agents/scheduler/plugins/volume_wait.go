package plugins

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/registry"
	"gantry/schema/volumes"
)

const (
	bindTimeout = 10 * time.Minute      // kube-scheduler's
	bindPoll    = 50 * time.Millisecond // how often the cache is asked whether claims are bound
)

// awaitBound waits until the claims of a decision are bound, and forgets what was set aside for them then.
func (b *volumeBinder) awaitBound(ctx context.Context, pod *corev1.Pod, node *corev1.Node, d *volumeDecision) error {
	ctx, cancel := context.WithTimeout(ctx, bindTimeout)
	defer cancel()
	tick := time.NewTicker(bindPoll)
	defer tick.Stop()
	for {
		done, err := b.areBound(ctx, node, d)
		if err != nil {
			return err
		}
		if done {
			unreserveVolumes(b, pod, node, d)
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// areBound tells whether the claims are bound to volumes that node reaches. It is an error where they will not be.
func (b *volumeBinder) areBound(ctx context.Context, node *corev1.Node, d *volumeDecision) (bool, error) {
	claims := registry.For[*corev1.PersistentVolumeClaim](b.handle.Registry)
	for _, pvc := range slices.Concat(d.provision, slices.Collect(maps.Keys(d.bind))) {
		m, err := claims.Cached(ctx, pvc.Namespace, pvc.Name)
		switch {
		case errors.Is(err, registry.NotFound) || err == nil && m.UID != pvc.UID:
			return false, fmt.Errorf("persistentvolumeclaim %q was deleted", pvc.Name)
		case err != nil:
			return false, err
		case volumes.FullyBound(m):
			pv, err := registry.For[*corev1.PersistentVolume](b.handle.Registry).Cached(ctx, "", m.Spec.VolumeName)
			if errors.Is(err, registry.NotFound) {
				return false, nil // the cache of volumes may be behind
			}
			if err != nil {
				return false, err
			}
			if err := volumes.MatchesNode(pv, node.Labels); err != nil {
				return false, fmt.Errorf("pv %q node affinity doesn't match node %q: %w", pv.Name, node.Name, err)
			}
		case d.bind[pvc] != nil:
			return false, nil
		default:
			if at, set := m.Annotations[volumes.SelectedNode]; !set && m.ResourceVersion != pvc.ResourceVersion {
				return false, fmt.Errorf("provisioning failed for PVC %q", m.Name)
			} else if set && at != node.Name {
				return false, fmt.Errorf("provisioning failed for PVC %q", m.Name)
			}
			return false, nil
		}
	}
	return true, nil
}
