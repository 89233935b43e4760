package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/system"
	"github.com/docker/docker/api/types/versions"
	"github.com/docker/docker/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gantry/agents/kubelet/pause"
)

// minDockerAPI is the Engine API of Docker 20.10, the oldest that is supported.
const minDockerAPI = "1.41"

// API is the calls of *client.Client that Docker makes.
type API interface {
	Ping(ctx context.Context) (types.Ping, error)
	Info(ctx context.Context) (system.Info, error)
	Events(ctx context.Context, o events.ListOptions) (<-chan events.Message, <-chan error)
	DaemonHost() string

	ContainerCreate(ctx context.Context, c *container.Config, h *container.HostConfig, n *network.NetworkingConfig, p *ocispec.Platform, name string) (container.CreateResponse, error)
	ContainerStart(ctx context.Context, id string, o container.StartOptions) error
	ContainerStop(ctx context.Context, id string, o container.StopOptions) error
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
	ImageRemove(ctx context.Context, ref string, o image.RemoveOptions) ([]image.DeleteResponse, error)
}

var _ API = (*client.Client)(nil)

// Open makes a client for host ("": the environment's, then the local socket). It does not connect: the version is
// negotiated with the first call.
func Open(host string) (*client.Client, error) {
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

// Config is what Docker needs.
type Config struct {
	// Node is the name of the node, which the labels of its containers have.
	Node string
	// DataDir keeps the detected features (engine.json) and the files of Localhost seccomp profiles (seccomp/).
	DataDir string
}

// Docker is an Engine on the Docker Engine API.
type Docker struct {
	api    API
	cfg    Config
	goarch string
	slots  chan struct{} // held by calls that make the engine work
	// features is what the engine can do, nil until Prepare has succeeded.
	features atomic.Pointer[features]
}

var _ Engine = (*Docker)(nil)

// engineSlots is how many containers are created, started or removed at a time. More only share the engine's speed: with
// fewer at once the first pods of many are up earlier.
const engineSlots = 8

// New returns the engine behind api.
func New(api API, cfg Config) *Docker {
	return &Docker{api: api, cfg: cfg, goarch: runtime.GOARCH, slots: make(chan struct{}, engineSlots)}
}

// callTimeout bounds one short call of the engine: beyond it the engine counts as hanging.
const callTimeout = 2 * time.Minute

// Check is Engine's.
func (d *Docker) Check(ctx context.Context) error {
	p, err := d.api.Ping(ctx)
	if err != nil {
		return fmt.Errorf("pinging the docker engine at %s: %w", d.api.DaemonHost(), classify(err))
	}
	if versions.LessThan(p.APIVersion, minDockerAPI) {
		return fmt.Errorf("the docker engine at %s speaks API %s: Docker 20.10 (API %s) or later is needed", d.api.DaemonHost(), p.APIVersion, minDockerAPI)
	}
	return nil
}

// Prepare loads the pause image and detects the engine's features, which is done once.
func (d *Docker) Prepare(ctx context.Context) error {
	if err := d.loadSandboxImage(ctx); err != nil {
		return err
	}
	if d.features.Load() != nil {
		return nil
	}
	f, err := d.detect(ctx, pause.Reference)
	if err != nil {
		return err
	}
	d.features.Store(&f)
	return nil
}

// Info is Engine's.
func (d *Docker) Info(ctx context.Context) (Info, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	i, err := d.api.Info(ctx)
	if err != nil {
		return Info{}, classify(err)
	}
	return Info{Version: i.ServerVersion, KernelVersion: i.KernelVersion, OperatingSystem: i.OperatingSystem, CPUs: i.NCPU, Memory: i.MemTotal}, nil
}

// Clean removes what the node left besides its containers: the pause image where no other node uses it, and engine.json.
func (d *Docker) Clean(ctx context.Context) error {
	if _, err := d.api.ImageRemove(ctx, pause.Reference, image.RemoveOptions{}); err != nil && !errdefs.IsNotFound(err) && !errdefs.IsConflict(err) {
		return fmt.Errorf("removing the pause image: %w", classify(err))
	}
	if err := os.Remove(filepath.Join(d.cfg.DataDir, trialsFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the engine's features: %w", err)
	}
	return nil
}
