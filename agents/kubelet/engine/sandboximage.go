package engine

import (
	"bytes"
	"context"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/client"

	"gantry/agents/kubelet/pause"
)

// loadSandboxImage makes sure that the engine has the pause image.
func (d *Docker) loadSandboxImage(ctx context.Context) error {
	_, err := d.api.ImageInspect(ctx, pause.Reference)
	if err == nil || !errdefs.IsNotFound(err) {
		return classify(err)
	}
	tar, err := pause.Image(d.goarch)
	if err != nil {
		return err
	}
	r, err := d.api.ImageLoad(ctx, bytes.NewReader(tar), client.ImageLoadWithQuiet(true))
	if err != nil {
		return fmt.Errorf("loading the pause image: %w", classify(err))
	}
	defer r.Body.Close()
	if _, err := d.api.ImageInspect(ctx, pause.Reference); err != nil {
		return fmt.Errorf("loading the pause image: %w", classify(err))
	}
	return nil
}
