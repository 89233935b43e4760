package kubelet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"

	"gantry/agents/internal/removetree"
	"gantry/agents/kubelet/pause"
	"gantry/agents/kubelet/podnet"
	"gantry/agents/kubelet/volumes"

	"gantry/registry/safely"
)

// cleaners is how many containers Clean removes at a time.
const cleaners = 8

// Clean removes what a kubelet of that node made: its containers, their links, logs below /var/log and volumes, the pause image where no other
// node's containers use it, dataDir. No kubelet of the node may run. What is absent is no fault.
func Clean(ctx context.Context, dockerHost, node, dataDir string) error {
	d, err := openDocker(dockerHost)
	if err != nil {
		return err
	}
	defer d.Close()
	if dataDir == "" {
		dataDir = defaultDataDir
	}
	list, err := d.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", labelNode+"="+node))})
	if err != nil {
		return fmt.Errorf("listing containers: %w", err)
	}
	// Apps before sandboxes, whose namespaces they live in.
	for _, kind := range []string{typeContainer, typeSandbox} {
		g, ctx := safely.WithContext(ctx)
		g.SetLimit(cleaners)
		for _, c := range list {
			if c.Labels[labelDockerType] != kind {
				continue
			}
			g.Go(func() error {
				if in, err := d.ContainerInspect(ctx, c.ID); err == nil {
					if f, ok := parseFound(in, node); ok {
						unlinkLogs(defaultLogDir, f)
					}
				}
				err := d.ContainerRemove(ctx, c.ID, container.RemoveOptions{Force: true, RemoveVolumes: true})
				if err != nil && !errdefs.IsNotFound(err) && !errdefs.IsConflict(err) {
					return fmt.Errorf("removing container %s: %w", c.ID, err)
				}
				if kind == typeSandbox {
					return podnet.Teardown(c.Labels[labelPodUID])
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
	if _, err := d.ImageRemove(ctx, pause.Reference, image.RemoveOptions{}); err != nil && !errdefs.IsNotFound(err) && !errdefs.IsConflict(err) {
		return fmt.Errorf("removing the pause image: %w", err)
	}
	return cleanData(ctx, dataDir)
}

func cleanData(ctx context.Context, dataDir string) error {
	v := volumes.New(volumes.Config{Dir: filepath.Join(dataDir, "pods")})
	uids, err := v.Pods()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("listing the pods' directories: %w", err)
	}
	for _, uid := range uids {
		if err := errors.Join(podnet.Teardown(uid), v.Unmount(ctx, uid)); err != nil {
			return err
		}
		if err := v.Remove(ctx, uid); err != nil {
			return err
		}
	}
	for _, name := range []string{"pods", trialsFile} {
		if err := removetree.All(filepath.Join(dataDir, name)); err != nil {
			return fmt.Errorf("removing the node's data: %w", err)
		}
	}
	return nil
}
