package kubelet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"gantry/agents/internal/removetree"
	"gantry/agents/kubelet/engine"
	"gantry/agents/kubelet/podnet"
	"gantry/agents/kubelet/volumes"
	"gantry/registry/safely"
)

// Clean removes what a kubelet of that node made: its containers, their links, logs below /var/log and volumes, the pause image where no other
// node's containers use it, dataDir. No kubelet of the node may run. What is absent is no fault.
func Clean(ctx context.Context, dockerHost, node, dataDir string) error {
	d, err := engine.Open(dockerHost)
	if err != nil {
		return err
	}
	defer d.Close()
	if dataDir == "" {
		dataDir = defaultDataDir
	}
	e := engine.New(d, engine.Config{Node: node, DataDir: dataDir})
	list, err := e.List(ctx)
	if err != nil {
		return err
	}
	for _, sandboxes := range []bool{false, true} { // apps before the sandboxes whose namespaces they live in
		g, ctx := safely.WithContext(ctx)
		for _, c := range list {
			if c.Sandbox != sandboxes {
				continue
			}
			g.Go(func() error { return cleanContainer(ctx, e, c) })
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
	if err := e.Clean(ctx); err != nil {
		return err
	}
	return cleanData(ctx, dataDir)
}

// cleanContainer removes a container, its links below /var/log and, with a sandbox, the pod's network.
func cleanContainer(ctx context.Context, e engine.Engine, c engine.Ref) error {
	if s, err := e.Container(ctx, c.ID); err == nil {
		unlinkLogs(defaultLogDir, s)
	}
	if err := e.Remove(ctx, c.ID); err != nil {
		return fmt.Errorf("removing container %s: %w", c.ID, err)
	}
	if c.Sandbox {
		return podnet.Teardown(c.Pod.UID)
	}
	return nil
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
	if err := removetree.All(filepath.Join(dataDir, "pods")); err != nil {
		return fmt.Errorf("removing the node's data: %w", err)
	}
	return nil
}
