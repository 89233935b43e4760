package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/kubelet/engine"
	"gantry/registry"
)

// fakePods is a node with the pod default/web: its container web runs, its sandbox is the process pid.
type fakePods struct{ pid int }

func (p fakePods) Container(namespace, pod, uid, name string, previous bool) (string, error) {
	switch {
	case namespace != "default" || pod != "web":
		return "", &registry.Error{Kind: registry.NotFound, Resource: "pods", Name: pod, Reason: fmt.Sprintf("pod %q not found on this node", namespace+"/"+pod)}
	case name == "starts":
		return "", &registry.Error{Kind: registry.BadRequest, Reason: `container "starts" in pod "web" is waiting to start: ContainerCreating`}
	case previous:
		return "before", nil
	}
	return name, nil
}

func (p fakePods) SandboxPID(namespace, pod, uid string) (int, error) {
	if namespace != "default" || pod != "web" {
		return 0, &registry.Error{Kind: registry.NotFound, Resource: "pods", Name: pod, Reason: "pod not found"}
	}
	return p.pid, nil
}

func (p fakePods) List() []*corev1.Pod {
	return []*corev1.Pod{
		{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", UID: "u1", Labels: map[string]string{"a": "b"}}, Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
			{Name: "web", Image: "web:1", ContainerID: "docker://1", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}, {Name: "ended"},
		}}},
		{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "waits"}},
	}
}

// fakeDocker is an engine whose commands are the functions below.
type fakeDocker struct {
	engine.API
	t  *testing.T
	mu sync.Mutex // guards what follows
	// logOptions are those of the last log, size the last size of a terminal.
	logOptions container.LogsOptions
	size       container.ResizeOptions
	resized    chan struct{}
	execs      map[string]*fakeExec
	// hanging gets the process of every command hang.
	hanging chan *process
	// group is what the fake's container is called: the beginning of the test's own control group, in which its processes are.
	group string
}

type fakeExec struct {
	container.ExecOptions
	code    int
	process *process // of the command hang
}

// process is one of the host that lasts until it is killed.
type process struct {
	pid   int
	ended chan struct{} // closed
}

func startProcess(t *testing.T) *process {
	cmd := exec.Command("cat")
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd.Process.Pid, make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-p.ended
	})
	return p
}

func (p *process) runs() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

func newFakeDocker(t *testing.T) *fakeDocker {
	group, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	return &fakeDocker{t: t, group: string(group), execs: map[string]*fakeExec{}, resized: make(chan struct{}, 1), hanging: make(chan *process, 1)}
}

// testNode is the node that the fake's containers are of.
const testNode = "n1"

// inspected is a running container of the node.
func inspected(id string, tty bool) container.InspectResponse {
	return container.InspectResponse{
		ContainerJSONBase: &container.ContainerJSONBase{ID: id, State: &container.State{Running: true}, HostConfig: &container.HostConfig{}},
		Config: &container.Config{Tty: tty, Labels: map[string]string{
			engine.LabelNode: testNode, engine.LabelPodNamespace: "default", engine.LabelPodName: "web", engine.LabelPodUID: "u", engine.LabelContainerName: id, engine.LabelRestartCount: "0",
		}},
	}
}

func (d *fakeDocker) ContainerInspect(_ context.Context, id string) (container.InspectResponse, error) {
	if id == "gone" {
		return container.InspectResponse{}, fmt.Errorf("no such container: %w", errdefs.ErrNotFound)
	}
	c := inspected(id, id == "tty")
	c.State.Running = id != "ended" && id != "ending"
	return c, nil
}

func (d *fakeDocker) ContainerLogs(ctx context.Context, id string, o container.LogsOptions) (io.ReadCloser, error) {
	d.mu.Lock()
	d.logOptions = o
	d.mu.Unlock()
	if id == "tty" {
		return io.NopCloser(bytes.NewBufferString("raw\r\n")), nil
	}
	r, w := io.Pipe()
	go func() {
		if o.ShowStdout {
			_, _ = fmt.Fprintf(stdcopy.NewStdWriter(w, stdcopy.Stdout), "out of %s\n", id)
		}
		if o.ShowStderr {
			_, _ = fmt.Fprintf(stdcopy.NewStdWriter(w, stdcopy.Stderr), "err of %s\n", id)
		}
		if o.Follow { // a log that is followed ends with the client
			<-ctx.Done()
		}
		_ = w.Close()
	}()
	return r, nil
}

// hijack is a connection to a process that f is: its input, and its two outputs as the engine sends them.
func hijack(t *testing.T, tty bool, f func(in io.Reader, out, err io.Writer)) types.HijackedResponse {
	l, err := net.Listen("tcp", "127.0.0.1:0") // half of it can be closed, as of the engine's
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	process, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer process.Close()
		if tty {
			f(process, process, process)
		} else {
			f(process, stdcopy.NewStdWriter(process, stdcopy.Stdout), stdcopy.NewStdWriter(process, stdcopy.Stderr))
		}
	}()
	return types.HijackedResponse{Conn: client, Reader: bufio.NewReader(client)}
}

// ContainerAttach says nothing and does not end where the container is "ended" before. One that is "ending" ends right after.
func (d *fakeDocker) ContainerAttach(_ context.Context, id string, o container.AttachOptions) (types.HijackedResponse, error) {
	return hijack(d.t, id == "tty", func(in io.Reader, out, _ io.Writer) {
		if id == "ended" {
			_, _ = io.Copy(io.Discard, in)
			return
		}
		_, _ = fmt.Fprintf(out, "attached to %s\n", id)
		if o.Stdin {
			_, _ = io.Copy(out, in)
		}
	}), nil
}

func (d *fakeDocker) ContainerResize(ctx context.Context, _ string, o container.ResizeOptions) error {
	d.mu.Lock()
	d.size = o
	d.mu.Unlock()
	select {
	case d.resized <- struct{}{}:
	case <-ctx.Done():
	}
	return nil
}

func (d *fakeDocker) ContainerExecCreate(_ context.Context, id string, o container.ExecOptions) (container.ExecCreateResponse, error) {
	if id == "stopped" {
		return container.ExecCreateResponse{}, fmt.Errorf("container stopped is not running: %w", errdefs.ErrConflict)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	name := fmt.Sprintf("exec-%d", len(d.execs))
	d.execs[name] = &fakeExec{ExecOptions: o}
	return container.ExecCreateResponse{ID: name}, nil
}

// ContainerExecAttach runs one of the commands: echo (its input), both (writes to both outputs), exit N, size (waits for a
// terminal's size), input (says whether it has one), hang (is a process that says nothing and does not end).
func (d *fakeDocker) ContainerExecAttach(_ context.Context, id string, o container.ExecAttachOptions) (types.HijackedResponse, error) {
	d.mu.Lock()
	e := d.execs[id]
	d.mu.Unlock()
	if e.Tty != o.Tty {
		return types.HijackedResponse{}, errors.New("tty of attach and create differ")
	}
	return hijack(d.t, o.Tty, func(in io.Reader, out, errOut io.Writer) {
		switch e.Cmd[0] {
		case "echo":
			_, _ = io.Copy(out, in)
		case "both":
			_, _ = io.WriteString(out, "to out")
			_, _ = io.WriteString(errOut, "to err")
		case "exit":
			d.mu.Lock()
			_, _ = fmt.Sscan(e.Cmd[1], &e.code)
			d.mu.Unlock()
		case "size":
			<-d.resized
			d.mu.Lock()
			_, _ = fmt.Fprintf(out, "%dx%d", d.size.Width, d.size.Height)
			d.mu.Unlock()
		case "hang":
			p := startProcess(d.t)
			d.mu.Lock()
			e.process = p
			d.mu.Unlock()
			d.hanging <- p
			<-p.ended
		case "input":
			_, _ = fmt.Fprint(out, e.AttachStdin, e.AttachStdout, e.AttachStderr)
		}
	}), nil
}

func (d *fakeDocker) ContainerExecResize(ctx context.Context, id string, o container.ResizeOptions) error {
	return d.ContainerResize(ctx, id, o)
}

func (d *fakeDocker) ContainerExecInspect(_ context.Context, id string) (container.ExecInspect, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.execs[id]
	if e.process != nil && e.process.runs() {
		return container.ExecInspect{Running: true, Pid: e.process.pid, ContainerID: d.group}, nil
	}
	return container.ExecInspect{ExitCode: e.code}, nil
}
