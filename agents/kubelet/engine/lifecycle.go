package engine

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"

	"gantry/agents/kubelet/pause"
)

// List is Engine's.
func (d *Docker) List(ctx context.Context) ([]Ref, error) {
	list, err := d.api.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(d.ofNode())})
	if err != nil {
		return nil, fmt.Errorf("listing the engine's containers: %w", classify(err))
	}
	refs := make([]Ref, len(list))
	for i, c := range list {
		refs[i] = refOf(c.ID, c.Labels)
	}
	return refs, nil
}

// ofNode filters the node's containers.
func (d *Docker) ofNode() filters.KeyValuePair { return filters.Arg("label", LabelNode+"="+d.cfg.Node) }

// CreateSandbox is Engine's.
func (d *Docker) CreateSandbox(ctx context.Context, c SandboxConfig) (id string, err error) {
	f, err := d.detected()
	if err != nil {
		return "", err
	}
	cfg := sandboxConfig(c, d.cfg.Node, pause.Reference, f)
	id, err = d.create(ctx, cfg)
	if errdefs.IsNotFound(err) { // someone removed the image
		if err := d.loadSandboxImage(ctx); err != nil {
			return "", err
		}
		id, err = d.create(ctx, cfg)
	}
	return id, classify(err)
}

// CreateContainer is Engine's.
func (d *Docker) CreateContainer(ctx context.Context, c ContainerConfig) (id string, err error) {
	f, err := d.detected()
	if err != nil {
		return "", err
	}
	cfg, err := containerConfig(c, d.cfg.Node, filepath.Join(d.cfg.DataDir, "seccomp"), f)
	if err != nil {
		return "", err
	}
	id, err = d.create(ctx, cfg)
	return id, classify(err)
}

// create creates a container. A leftover of the same name that does not run is replaced: its reply was lost in a crash.
func (d *Docker) create(ctx context.Context, c dockerConfig) (id string, err error) {
	ctx, release, err := d.acquireSlot(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	made, err := d.api.ContainerCreate(ctx, c.config, c.host, nil, nil, c.name)
	if !errdefs.IsConflict(err) {
		return made.ID, err
	}
	old, err := d.api.ContainerInspect(ctx, c.name)
	if err != nil && !errdefs.IsNotFound(err) {
		return "", err
	}
	if err == nil {
		s, ours := parseContainer(old, d.cfg.Node)
		if !ours || s.State == StateRunning {
			return "", fmt.Errorf("the name %s is taken by container %s", c.name, old.ID)
		}
		if err := d.removeNow(ctx, old.ID); err != nil {
			return "", err
		}
	}
	made, err = d.api.ContainerCreate(ctx, c.config, c.host, nil, nil, c.name)
	return made.ID, err
}

// acquireSlot waits for one of engineSlots. The ctx it returns outlives the one given: once begun, a call goes on when the
// kubelet ends, because half a start is worse than a late end.
func (d *Docker) acquireSlot(ctx context.Context) (_ context.Context, release func(), err error) {
	select {
	case d.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	return ctx, func() { cancel(); <-d.slots }, nil
}

// Start is Engine's.
func (d *Docker) Start(ctx context.Context, id string) error {
	ctx, release, err := d.acquireSlot(ctx)
	if err != nil {
		return err
	}
	defer release()
	return classify(d.api.ContainerStart(ctx, id, container.StartOptions{}))
}

// Stop is Engine's.
func (d *Docker) Stop(ctx context.Context, id string, grace time.Duration) error {
	seconds := int((grace + time.Second - 1) / time.Second)
	ctx, cancel := context.WithTimeout(ctx, time.Duration(seconds)*time.Second+callTimeout)
	defer cancel()
	err := d.api.ContainerStop(ctx, id, container.StopOptions{Timeout: &seconds})
	if errdefs.IsNotFound(err) || errdefs.IsNotModified(err) {
		return nil
	}
	return classify(err)
}

// Remove is Engine's.
func (d *Docker) Remove(ctx context.Context, id string) error {
	ctx, release, err := d.acquireSlot(ctx)
	if err != nil {
		return err
	}
	defer release()
	return classify(d.removeNow(ctx, id))
}

func (d *Docker) removeNow(ctx context.Context, id string) error {
	err := d.api.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true})
	// Conflict: its removal is under way already.
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) {
		return nil
	}
	return err
}
