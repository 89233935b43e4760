package engine

import (
	"context"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Engine runs the containers of one node. See the package comment for what holds for every method.
type Engine interface {
	// Check is nil when the engine answers and is recent enough.
	Check(ctx context.Context) error
	// Prepare makes the engine ready for pods: it has the sandboxes' image, and what it can do is known. Nothing is created
	// before it has succeeded once. It can be repeated.
	Prepare(ctx context.Context) error
	// Watch calls changed for every container of the node that starts, ends or is removed, until ctx is done or the engine is lost;
	// the error is never nil. begin is called once events are received: what it lists misses no change. Its error ends the watch.
	Watch(ctx context.Context, begin func() error, changed func(Ref)) error
	// Info describes the engine and its host.
	Info(ctx context.Context) (Info, error)

	// List returns the node's containers, those that have ended too.
	List(ctx context.Context) ([]Ref, error)
	// Container returns the status of a container; ErrNotFound also for one that is not the node's.
	Container(ctx context.Context, id string) (*ContainerStatus, error)
	// CreateSandbox creates a pod's sandbox, CreateContainer a container in one. A container of the same pod, name and attempt that
	// does not run is replaced. An error that the pod's author has to fix is ErrConfig.
	CreateSandbox(ctx context.Context, c SandboxConfig) (id string, err error)
	CreateContainer(ctx context.Context, c ContainerConfig) (id string, err error)
	// Start starts a container that was created. One that cannot be started counts as ended from then on.
	Start(ctx context.Context, id string) error
	// Stop sends the stop signal, and SIGKILL after grace, which is rounded up to seconds. It returns when the container has ended.
	// One that does not run, or is absent, is no error.
	Stop(ctx context.Context, id string, grace time.Duration) error
	// Remove kills and removes a container. An absent one is no error.
	Remove(ctx context.Context, id string) error
	// Resize changes the resources of a running container.
	Resize(ctx context.Context, id string, r Resources) error
	// MemoryUsage is what a running container's processes and page cache take, in bytes.
	MemoryUsage(ctx context.Context, id string) (int64, error)

	// Exec runs a command in a running container until it ends, and returns its exit code. With ctx done the command is killed.
	Exec(ctx context.Context, id string, command []string, s Streams) (exitCode int, err error)
	// Attach joins the streams of a running container's first process until that closes its output, or ctx is done.
	Attach(ctx context.Context, id string, s Streams) error
	// Logs opens a container's log; the caller closes it.
	Logs(ctx context.Context, id string, o LogOptions) (Log, error)
	// LogTail returns at least the last lines of a container's log, both streams. More may come before them.
	LogTail(ctx context.Context, id string, lines int) ([]byte, error)

	// Image returns an image by reference or ID; ErrNotFound where the engine does not have it.
	Image(ctx context.Context, ref string) (*Image, error)
	// Images returns all images, without their users.
	Images(ctx context.Context) ([]Image, error)
	// Pull pulls an image with each of the secrets' credentials that match it, best match first, then without any.
	Pull(ctx context.Context, ref string, secrets []*corev1.Secret) error
}

// PodRef names a pod as containers' labels do.
type PodRef struct{ Namespace, Name, UID string }

// Ref names one of the node's containers.
type Ref struct {
	ID      string
	Pod     PodRef
	Sandbox bool // it is a pod's sandbox
}

// Info describes an engine and its host.
type Info struct {
	Version         string // the engine's
	KernelVersion   string
	OperatingSystem string
	CPUs            int
	Memory          int64 // bytes
}

// Image is an image that the engine has.
type Image struct {
	ID      string // "sha256:..."
	Ref     string // as asked for
	User    string // of its configuration
	Size    int64  // bytes
	Digests []string
	Tags    []string
	// Layers are the directories of its files, the uppermost first. None: the engine's storage driver is not overlay2 or fuse-overlayfs.
	Layers []string
}

// StatusID is how a container's status names the image.
func (i *Image) StatusID() string {
	if len(i.Digests) > 0 {
		return "docker-pullable://" + i.Digests[0]
	}
	return URI(i.ID)
}

// URI is how a status names a container, an image or the version of the engine.
func URI(id string) string { return "docker://" + id }

// SandboxConfig is what a sandbox is created from.
type SandboxConfig struct {
	Pod      *corev1.Pod
	Attempt  int
	Grace    int64             // seconds; kept on the sandbox
	Hostname string            // "" in the node's network
	Sysctls  map[string]string // dots between their parts
}

// ContainerConfig is what a container is created from. What is left of Container's own fields (working directory, terminal, stop
// signal, ...) is used as it is.
type ContainerConfig struct {
	Pod       *corev1.Pod
	Container *corev1.Container
	Sandbox   string // ID
	Target    string // ID of the container whose process namespace it joins; "": it has its own, or the pod's
	Attempt   int
	Backoff   time.Duration // after this attempt's end; kept on the container
	Grace     int64         // seconds; kept on the container
	Image     *Image
	Env       []string // NAME=value
	Command   []string // expanded
	Args      []string // expanded
	Mounts    []Mount
	Devices   []Device
	Security  corev1.SecurityContext // the container's with the pod's filled in
	QOS       corev1.PodQOSClass
	Resources Resources
}

// Mount is a path of the host that a container sees.
type Mount struct {
	Source, Target string
	ReadOnly       bool
	Propagation    corev1.MountPropagationMode // "": the engine's default
}

// Device is a block device of the host that a container sees.
type Device struct {
	Source, Target string
	ReadOnly       bool
}

// Resources are what a container is given.
type Resources struct {
	CPURequest  int64 // thousandths of a CPU
	CPULimit    int64 // thousandths of a CPU; 0: none
	MemoryLimit int64 // bytes; 0: none
}

// Streams are those of a command or a container; nil ones are not used.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	// TTY: the process has a terminal; all its output goes to Out. For Attach it must be the container's own.
	TTY bool
	// NextSize waits for the terminal's next size; ok is false when no more come. May be nil.
	NextSize func() (size TerminalSize, ok bool)
}

// TerminalSize is in characters.
type TerminalSize struct{ Width, Height uint16 }

// LogOptions say what of a log is read.
type LogOptions struct {
	TTY            bool // the container's, see ContainerStatus
	Stdout, Stderr bool
	Follow         bool
	Timestamps     bool      // before every line
	Since          time.Time // zero: from the beginning
	Tail           int       // the last lines; AllLines: all
}

// AllLines is a LogOptions.Tail.
const AllLines = -1

// Log is an open log.
type Log interface {
	// CopyTo writes the log, both streams in the order they were written, until it ends or w fails. With Follow it ends with the
	// container, or with the ctx it was opened with.
	CopyTo(w io.Writer) error
	Close() error
}
