package kubelet

import (
	"context"
	"fmt"
	"io"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/system"
	"github.com/docker/docker/api/types/versions"
	"github.com/docker/docker/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// minDockerAPI is the Engine API of Docker 20.10, the oldest that is supported.
const minDockerAPI = "1.41"

// docker is what the kubelet asks of the engine: calls of *client.Client, unwrapped. Errors are told apart with
// containerd's errdefs.
type docker interface {
	Ping(ctx context.Context) (types.Ping, error)
	Info(ctx context.Context) (system.Info, error)
	ServerVersion(ctx context.Context) (types.Version, error)
	Events(ctx context.Context, o events.ListOptions) (<-chan events.Message, <-chan error)
	DaemonHost() string

	ContainerCreate(ctx context.Context, c *container.Config, h *container.HostConfig, n *network.NetworkingConfig, p *ocispec.Platform, name string) (container.CreateResponse, error)
	ContainerStart(ctx context.Context, id string, o container.StartOptions) error
	ContainerStop(ctx context.Context, id string, o container.StopOptions) error
	ContainerKill(ctx context.Context, id, signal string) error
	ContainerRemove(ctx context.Context, id string, o container.RemoveOptions) error
	ContainerUpdate(ctx context.Context, id string, c container.UpdateConfig) (container.UpdateResponse, error)
	ContainerStatsOneShot(ctx context.Context, id string) (container.StatsResponseReader, error)
	ContainerInspect(ctx context.Context, id string) (container.InspectResponse, error)
	ContainerList(ctx context.Context, o container.ListOptions) ([]container.Summary, error)
	ContainerLogs(ctx context.Context, id string, o container.LogsOptions) (io.ReadCloser, error)

	ContainerAttach(ctx context.Context, id string, o container.AttachOptions) (types.HijackedResponse, error)
	ContainerResize(ctx context.Context, id string, o container.ResizeOptions) error

	ContainerExecCreate(ctx context.Context, id string, o container.ExecOptions) (container.ExecCreateResponse, error)
	ContainerExecAttach(ctx context.Context, exec string, o container.ExecAttachOptions) (types.HijackedResponse, error)
	ContainerExecResize(ctx context.Context, exec string, o container.ResizeOptions) error
	ContainerExecInspect(ctx context.Context, exec string) (container.ExecInspect, error)

	ImageInspect(ctx context.Context, ref string, o ...client.ImageInspectOption) (image.InspectResponse, error)
	ImageList(ctx context.Context, o image.ListOptions) ([]image.Summary, error)
	ImagePull(ctx context.Context, ref string, o image.PullOptions) (io.ReadCloser, error)
	ImageLoad(ctx context.Context, r io.Reader, o ...client.ImageLoadOption) (image.LoadResponse, error)
}

var _ docker = (*client.Client)(nil)

// openDocker makes a client for host ("": the environment's, then the local socket). It does not connect: the version is
// negotiated with the first call.
func openDocker(host string) (*client.Client, error) {
	o := []client.Opt{client.FromEnv, client.WithAPIVersionNegotiation()}
	if host != "" {
		o = append(o, client.WithHost(host))
	}
	c, err := client.NewClientWithOpts(o...)
	if err != nil {
		return nil, fmt.Errorf("opening the docker client: %w", err)
	}
	return c, nil
}

// checkDocker asks the engine who it is; an error names what is wrong with it.
func checkDocker(ctx context.Context, d docker) error {
	p, err := d.Ping(ctx)
	if err != nil {
		return fmt.Errorf("asking the docker engine at %s: %w", d.DaemonHost(), err)
	}
	if versions.LessThan(p.APIVersion, minDockerAPI) {
		return fmt.Errorf("the docker engine at %s speaks API %s: Docker 20.10 (API %s) or later is needed", d.DaemonHost(), p.APIVersion, minDockerAPI)
	}
	return nil
}
