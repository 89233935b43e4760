package enginetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/agents/kubelet/engine"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// Target is an engine under test.
type Target struct {
	// New returns the engine, not prepared.
	New func(t *testing.T) engine.Engine
	// Image runs ./pod and is present.
	Image string
}

// Run tests that an engine keeps the contract of engine.Engine.
func Run(t *testing.T, target Target) {
	for name, test := range map[string]func(*testing.T, *bench){
		"Lifecycle": testLifecycle, "Exit": testExit, "CannotStart": testCannotStart, "Replace": testReplace, "Config": testConfig, "Watch": testWatch,
		"Exec": testExec, "ExecEndsWithItsContext": testExecEnds, "Attach": testAttach, "Logs": testLogs, "Images": testImages, "Resources": testResources,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &bench{Engine: target.New(t), T: t, image: target.Image, uid: fmt.Sprintf("%d-%s", os.Getpid(), strings.ToLower(name))}
			if _, err := b.CreateSandbox(t.Context(), b.sandboxConfig()); err == nil {
				t.Error("a sandbox was created before Prepare")
			}
			for range 2 {
				if err := errors.Join(b.Check(t.Context()), b.Prepare(t.Context())); err != nil {
					t.Fatal(err)
				}
			}
			t.Cleanup(b.removeAll)
			test(t, b)
		})
	}
}

// bench is an engine with one pod.
type bench struct {
	engine.Engine
	*testing.T
	image, uid string
}

func (b *bench) pod() *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", UID: types.UID(b.uid)}}
}

func (b *bench) sandboxConfig() engine.SandboxConfig {
	return engine.SandboxConfig{Pod: b.pod(), Grace: 7, Hostname: "web"}
}

func (b *bench) config(sandbox string, args ...string) engine.ContainerConfig {
	c := &corev1.Container{Name: "main", Image: b.image}
	return engine.ContainerConfig{
		Pod: b.pod(), Container: c, Sandbox: sandbox, Attempt: 2, Backoff: 20 * time.Second, Grace: 7, Image: &engine.Image{Ref: b.image}, Args: args,
		QOS: corev1.PodQOSBestEffort,
	}
}

func (b *bench) check(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// sandbox starts the pod's sandbox.
func (b *bench) sandbox() (id string) {
	b.Helper()
	id, err := b.CreateSandbox(b.Context(), b.sandboxConfig())
	b.check(err)
	b.check(b.Start(b.Context(), id))
	return id
}

// run starts a container with its sandbox.
func (b *bench) run(args ...string) (id string) {
	b.Helper()
	id, err := b.CreateContainer(b.Context(), b.config(b.sandbox(), args...))
	b.check(err)
	b.check(b.Start(b.Context(), id))
	return id
}

func (b *bench) status(id string) *engine.ContainerStatus {
	b.Helper()
	s, err := b.Container(b.Context(), id)
	b.check(err)
	return s
}

// untilLog waits for the end of a container's log, or a line in it, and returns what was written.
func (b *bench) untilLog(id, line string) string {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	log, err := b.Logs(ctx, id, engine.LogOptions{Stdout: true, Stderr: true, Follow: true, Tail: engine.AllLines})
	b.check(err)
	defer log.Close()
	w := &lineWatch{line: line, seen: cancel}
	if err := log.CopyTo(w); err != nil && !w.contains() {
		b.Fatalf("%q is not in the log: %v\n%s", line, err, w.String())
	}
	return w.String()
}

// lineWatch calls seen when it has been written a line.
type lineWatch struct {
	text []byte
	line string
	seen func()
}

func (w *lineWatch) String() string { return string(w.text) }

func (w *lineWatch) contains() bool {
	return w.line != "" && bytes.Contains(w.text, []byte(w.line+"\n"))
}

func (w *lineWatch) Write(p []byte) (int, error) {
	w.text = append(w.text, p...)
	if w.contains() {
		w.seen()
	}
	return len(p), nil
}

// removeAll removes every container of the node, containers before sandboxes.
func (b *bench) removeAll() {
	ctx := context.Background()
	list, err := b.List(ctx)
	slices.SortFunc(list, func(x, y engine.Ref) int { return strings.Compare(kind(x), kind(y)) })
	for _, c := range list {
		err = errors.Join(err, b.Remove(ctx, c.ID))
	}
	if err != nil {
		b.Errorf("cleaning up: %v", err)
	}
}

func kind(c engine.Ref) string {
	if c.Sandbox {
		return "sandbox"
	}
	return "container"
}

func testLifecycle(t *testing.T, b *bench) {
	ctx := t.Context()
	ref := engine.PodRef{Namespace: "default", Name: "web", UID: b.uid}
	box := b.sandbox()
	s := b.status(box)
	if !s.Sandbox || s.Container != engine.SandboxName || s.Pod != ref || s.State != engine.StateRunning || s.PID == 0 || s.Grace != 7 || s.Started.IsZero() {
		t.Errorf("sandbox: %+v", s)
	}
	id, err := b.CreateContainer(ctx, b.config(box, "run", "hello"))
	b.check(err)
	want := &engine.ContainerStatus{ID: id, Pod: ref, Container: "main", SandboxID: box, Attempt: 2, Backoff: 20 * time.Second, Grace: 7, Image: b.image, State: engine.StateCreated}
	s = b.status(id)
	got := &engine.ContainerStatus{ID: s.ID, Pod: s.Pod, Container: s.Container, SandboxID: s.SandboxID, Attempt: s.Attempt, Backoff: s.Backoff, Grace: s.Grace, Image: s.Image, State: s.State, Started: s.Started, PID: s.PID}
	if !reflect.DeepEqual(got, want) || s.Created.IsZero() || s.SpecChanged(&corev1.Container{Image: b.image}) || !s.SpecChanged(&corev1.Container{Image: "other"}) {
		t.Errorf("created: got %+v, want %+v", s, want)
	}
	b.check(b.Start(ctx, id))
	b.untilLog(id, "up hello")
	if s = b.status(id); s.State != engine.StateRunning || s.PID == 0 || s.Started.IsZero() {
		t.Errorf("running: %+v", s)
	}
	list, err := b.List(ctx)
	b.check(err)
	slices.SortFunc(list, func(x, y engine.Ref) int { return strings.Compare(kind(x), kind(y)) })
	if want := []engine.Ref{{ID: id, Pod: ref}, {ID: box, Pod: ref, Sandbox: true}}; !slices.Equal(list, want) {
		t.Errorf("list: got %+v, want %+v", list, want)
	}
	for range 2 {
		b.check(b.Stop(ctx, id, patience))
	}
	if s = b.status(id); s.State != engine.StateExited || s.Exit.Code != 0 || s.Exit.Reason != engine.ReasonCompleted || s.PID != 0 || s.Exit.Finished.IsZero() {
		t.Errorf("stopped: %+v", s)
	}
	for _, id := range []string{id, box, box} {
		b.check(b.Remove(ctx, id))
	}
	if _, err := b.Container(ctx, id); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("a container that was removed: %v", err)
	}
	b.check(b.Stop(ctx, id, 0))
	if list, err := b.List(ctx); err != nil || len(list) != 0 {
		t.Errorf("left: %v, %v", list, err)
	}
}

func testExit(t *testing.T, b *bench) {
	id := b.run("exit", "3")
	b.untilLog(id, "")
	b.check(b.Stop(t.Context(), id, patience)) // it may be ending
	if s := b.status(id); s.State != engine.StateExited || s.Exit.Code != 3 || s.Exit.Reason != engine.ReasonError {
		t.Errorf("exit 3: %+v", s)
	}
	c := b.config(b.status(id).SandboxID, "stubborn")
	c.Attempt++
	id, err := b.CreateContainer(t.Context(), c)
	b.check(err)
	b.check(b.Start(t.Context(), id))
	b.untilLog(id, "up")
	b.check(b.Stop(t.Context(), id, time.Millisecond))
	if s := b.status(id); s.State != engine.StateExited || s.Exit.Code != 137 {
		t.Errorf("killed: %+v", s)
	}
}

func testCannotStart(t *testing.T, b *bench) {
	c := b.config(b.sandbox())
	c.Command = []string{"/none"}
	id, err := b.CreateContainer(t.Context(), c)
	b.check(err)
	if err := b.Start(t.Context(), id); err == nil || !strings.Contains(err.Error(), "/none") {
		t.Errorf("starting: %v", err)
	}
	if s := b.status(id); s.State != engine.StateExited || s.Exit.Reason != engine.ReasonCannotRun || !strings.Contains(s.Exit.Message, "/none") {
		t.Errorf("status: %+v", s)
	}
	if err := b.Start(t.Context(), "none"); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("starting an absent container: %v", err)
	}
}

// A create whose reply was lost is repeated.
func testReplace(t *testing.T, b *bench) {
	c := b.config(b.sandbox(), "run")
	first, err := b.CreateContainer(t.Context(), c)
	b.check(err)
	second, err := b.CreateContainer(t.Context(), c)
	b.check(err)
	if _, err := b.Container(t.Context(), first); first == second || !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("the first of two containers %s, %s: %v", first, second, err)
	}
	b.check(b.Start(t.Context(), second))
	if _, err := b.CreateContainer(t.Context(), c); err == nil {
		t.Error("a running container was replaced")
	}
	if s := b.status(second); s.State != engine.StateRunning {
		t.Errorf("the running container: %+v", s)
	}
}

func testConfig(t *testing.T, b *bench) {
	c := b.config(b.sandbox(), "run")
	up := "../profile"
	c.Security.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeLocalhost, LocalhostProfile: &up}
	if _, err := b.CreateContainer(t.Context(), c); !errors.Is(err, engine.ErrConfig) {
		t.Errorf("a profile out of its directory: %v", err)
	}
	c = b.config(c.Sandbox, "run")
	c.Image = &engine.Image{Ref: "gantry-none:1"}
	if _, err := b.CreateContainer(t.Context(), c); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("an image that is absent: %v", err)
	}
	c = b.config(c.Sandbox, "run")
	c.Mounts = []engine.Mount{{Source: "/", Target: "/host", ReadOnly: true, Propagation: corev1.MountPropagationNone}}
	if _, err := b.CreateContainer(t.Context(), c); err != nil {
		t.Errorf("a mount of the host's root: %v", err)
	}
}

func testWatch(t *testing.T, b *bench) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	box := b.sandbox()
	changes := make(chan engine.Ref, 100)
	begun, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- b.Watch(ctx, func() error { close(begun); return nil }, func(ref engine.Ref) { changes <- ref })
	}()
	<-begun
	id, err := b.CreateContainer(ctx, b.config(box, "run"))
	b.check(err)
	want := engine.Ref{ID: id, Pod: engine.PodRef{Namespace: "default", Name: "web", UID: b.uid}}
	b.check(b.Start(ctx, id))
	b.awaitChange(ctx, changes, want, "start")
	b.untilLog(id, "up ") // it handles signals
	b.check(b.Stop(ctx, id, patience))
	b.awaitChange(ctx, changes, want, "end")
	b.check(b.Remove(ctx, id))
	b.awaitChange(ctx, changes, want, "removal")
	cancel()
	if err := <-ended; err == nil {
		t.Error("the watch ended without an error")
	}
	wrong := errors.New("the list failed")
	if err := b.Watch(t.Context(), func() error { return wrong }, nil); !errors.Is(err, wrong) {
		t.Errorf("a watch that cannot begin: %v", err)
	}
}

func (b *bench) awaitChange(ctx context.Context, changes <-chan engine.Ref, want engine.Ref, what string) {
	b.Helper()
	select {
	case got := <-changes:
		if got != want {
			b.Errorf("change of the %s: %+v, want %+v", what, got, want)
		}
	case <-ctx.Done():
		b.Fatalf("the %s is not reported", what)
	}
}

func testExec(t *testing.T, b *bench) {
	id := b.run("run")
	b.untilLog(id, "up ")
	var out, errOut bytes.Buffer
	code, err := b.Exec(t.Context(), id, []string{"/pod", "exit", "4"}, engine.Streams{Out: &out})
	if err != nil || code != 4 || out.String() != "exit 4\n" {
		t.Errorf("exit: %d, %v, %q", code, err, out.String())
	}
	out.Reset()
	code, err = b.Exec(t.Context(), id, []string{"/pod", "echo"}, engine.Streams{In: strings.NewReader("text\n"), Out: &out, Err: &errOut})
	if err != nil || code != 0 || out.String() != "text\n" || errOut.String() != "echoing\n" {
		t.Errorf("echo: %d, %v, %q, %q", code, err, out.String(), errOut.String())
	}
	b.check(b.Stop(t.Context(), id, patience))
	if _, err := b.Exec(t.Context(), id, []string{"/pod", "exit", "0"}, engine.Streams{}); !errors.Is(err, engine.ErrConflict) {
		t.Errorf("in a stopped container: %v", err)
	}
	if _, err := b.Exec(t.Context(), "none", []string{"/pod"}, engine.Streams{}); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("in an absent container: %v", err)
	}
}

func testExecEnds(t *testing.T, b *bench) {
	id := b.run("run")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w := &lineWatch{line: "up", seen: cancel}
	if _, err := b.Exec(ctx, id, []string{"/pod", "stubborn"}, engine.Streams{Out: w}); !errors.Is(err, context.Canceled) {
		t.Errorf("exec: %v, want %v", err, context.Canceled)
	}
}

func testAttach(t *testing.T, b *bench) {
	id := b.run("run")
	b.untilLog(id, "up ")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Attach(ctx, id, engine.Streams{Out: &bytes.Buffer{}}); !errors.Is(err, context.Canceled) {
		t.Errorf("with its ctx done: %v", err)
	}
	c := b.config(b.status(id).SandboxID, "echo")
	c.Container.Name, c.Container.Stdin, c.Container.StdinOnce = "echo", true, true
	id, err := b.CreateContainer(t.Context(), c)
	b.check(err)
	b.check(b.Start(t.Context(), id))
	ctx, cancel = context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out bytes.Buffer
	if err := b.Attach(ctx, id, engine.Streams{In: strings.NewReader("text\n"), Out: &out, Err: io.Discard}); err != nil || out.String() != "text\n" {
		t.Errorf("attached: %q, %v", out.String(), err)
	}
	b.check(b.Stop(ctx, id, patience)) // it may be ending
	if err := b.Attach(ctx, id, engine.Streams{Out: &out}); !errors.Is(err, engine.ErrConflict) {
		t.Errorf("to a container that has ended: %v", err)
	}
}

func testLogs(t *testing.T, b *bench) {
	id := b.run("run", "hello")
	b.untilLog(id, "up hello")
	b.check(b.Stop(t.Context(), id, patience))
	for name, tc := range map[string]struct {
		options engine.LogOptions
		want    string
	}{
		"all":       {engine.LogOptions{Stdout: true, Stderr: true, Tail: engine.AllLines}, "up hello\ndown\n"},
		"none":      {engine.LogOptions{Stdout: true}, ""},
		"the last":  {engine.LogOptions{Stdout: true, Tail: 1}, "down\n"},
		"more":      {engine.LogOptions{Stdout: true, Tail: 9}, "up hello\ndown\n"},
		"errors":    {engine.LogOptions{Stderr: true, Tail: engine.AllLines}, ""},
		"followed":  {engine.LogOptions{Stdout: true, Follow: true, Tail: engine.AllLines}, "up hello\ndown\n"},
		"of before": {engine.LogOptions{Stdout: true, Since: time.Now().Add(time.Hour), Tail: engine.AllLines}, ""},
	} {
		if got := b.log(id, tc.options); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	for line := range strings.Lines(b.log(id, engine.LogOptions{Stdout: true, Timestamps: true, Tail: engine.AllLines})) {
		stamp, _, _ := strings.Cut(line, " ")
		if at, err := time.Parse(time.RFC3339Nano, stamp); err != nil || time.Since(at) > time.Hour {
			t.Errorf("with times: %q", line)
		}
	}
	if end, err := b.LogTail(t.Context(), id, 1); err != nil || !strings.HasSuffix(string(end), "down\n") {
		t.Errorf("tail: %q, %v", end, err)
	}
	if _, err := b.Logs(t.Context(), "none", engine.LogOptions{Stdout: true}); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("of an absent container: %v", err)
	}
}

func (b *bench) log(id string, o engine.LogOptions) string {
	b.Helper()
	log, err := b.Logs(b.Context(), id, o)
	b.check(err)
	defer log.Close()
	var out bytes.Buffer
	b.check(log.CopyTo(&out))
	return out.String()
}

func testImages(t *testing.T, b *bench) {
	i, err := b.Image(t.Context(), b.image)
	b.check(err)
	if i.Ref != b.image || i.ID == "" || i.Size == 0 {
		t.Errorf("image: %+v", i)
	}
	if same, err := b.Image(t.Context(), i.ID); err != nil || same.ID != i.ID {
		t.Errorf("by its ID: %+v, %v", same, err)
	}
	all, err := b.Images(t.Context())
	if err != nil || !slices.ContainsFunc(all, func(x engine.Image) bool { return x.ID == i.ID && slices.Contains(x.Tags, b.image) }) {
		t.Errorf("the image is not listed: %v", err)
	}
	if _, err := b.Image(t.Context(), "gantry-none:1"); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("an absent image: %v", err)
	}
	// Nothing listens on port 1.
	if err := b.Pull(t.Context(), "127.0.0.1:1/gantry-none:1", nil); err == nil {
		t.Error("an image came from no registry")
	}
}

func testResources(t *testing.T, b *bench) {
	info, err := b.Info(t.Context())
	if err != nil || info.Version == "" || info.CPUs == 0 || info.Memory == 0 {
		t.Errorf("info: %+v, %v", info, err)
	}
	id := b.run("run")
	b.untilLog(id, "up ")
	b.check(b.Resize(t.Context(), id, engine.Resources{CPURequest: 100, CPULimit: 500, MemoryLimit: 64 << 20}))
	if used, err := b.MemoryUsage(t.Context(), id); err != nil || used < 0 || used > 64<<20 {
		t.Errorf("memory: %d, %v", used, err)
	}
	if err := b.Resize(t.Context(), "none", engine.Resources{}); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("resizing an absent container: %v", err)
	}
}
