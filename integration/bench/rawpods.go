package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"

	"gantry/agents/kubelet/pause"
)

// rawLabel marks the containers of raw calls.
const rawLabel = "io.gantry.bench"

// rawParallel is how many pods the raw calls start at once: more do not make an engine quicker.
const rawParallel = 16

// leastShares are those of a pod that asks for no CPU. On a machine that is busy they make a start slow.
const leastShares = 2

// openEngine is the engine of $DOCKER_HOST with the pause image.
func openEngine(ctx context.Context) (*client.Client, error) {
	d, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		return nil, err
	}
	if _, err := d.ImageInspect(ctx, pause.Reference); err == nil || !errdefs.IsNotFound(err) {
		return d, err
	}
	tar, err := pause.Image(runtime.GOARCH)
	if err != nil {
		return nil, err
	}
	r, err := d.ImageLoad(ctx, bytes.NewReader(tar), client.ImageLoadWithQuiet(true))
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	_, err = io.Copy(io.Discard, r.Body)
	return d, err
}

// rawPods starts pods by the fewest calls of the engine: a pause container without a network, and one that joins it and is made
// while the other starts.
func rawPods(count, clients int) func(*bench) (measurement, error) {
	return func(*bench) (measurement, error) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		d, err := openEngine(ctx)
		if err != nil {
			return measurement{}, err
		}
		defer d.Close()
		m, err := inTurn(&child{}, count, clients, func(i int) error { return rawPod(ctx, d, i) })
		if err != nil {
			return m, err
		}
		return m, removeLabelled(ctx, d, rawLabel+"="+rawValue())
	}
}

func rawValue() string { return fmt.Sprint(os.Getpid()) }

func rawPod(ctx context.Context, d *client.Client, i int) error {
	labels := map[string]string{rawLabel: rawValue()}
	name := fmt.Sprintf("gantry-bench-%s-%d", rawValue(), i)
	box, err := d.ContainerCreate(ctx, &container.Config{Image: pause.Reference, Hostname: name, Labels: labels, NetworkDisabled: true},
		&container.HostConfig{NetworkMode: "none", IpcMode: "shareable", LogConfig: container.LogConfig{Type: "none"}}, nil, nil, name)
	if err != nil {
		return err
	}
	started := make(chan error, 1)
	go func() { started <- d.ContainerStart(ctx, box.ID, container.StartOptions{}) }()
	join := container.NetworkMode("container:" + box.ID)
	app, err := d.ContainerCreate(ctx, &container.Config{Image: pause.Reference, Labels: labels},
		&container.HostConfig{NetworkMode: join, IpcMode: container.IpcMode(join), Resources: container.Resources{CPUShares: leastShares}}, nil, nil, name+"-main")
	if e := <-started; e != nil {
		return e
	}
	if err != nil {
		return err
	}
	return d.ContainerStart(ctx, app.ID, container.StartOptions{})
}

func removeLabelled(ctx context.Context, d *client.Client, label string) error {
	list, err := d.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", label))})
	if err != nil {
		return err
	}
	for _, c := range list {
		if err := d.ContainerRemove(ctx, c.ID, container.RemoveOptions{Force: true}); err != nil && !errdefs.IsNotFound(err) {
			return err
		}
	}
	return nil
}

// untilNoContainers waits until the engine has no container with a label.
func untilNoContainers(label string) error {
	ctx, cancel := context.WithTimeout(context.Background(), waitTimeout)
	defer cancel()
	d, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		list, err := d.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", label))})
		if err != nil || len(list) == 0 {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}
