package engine

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// CreateSandbox is Engine's.
func (f *Fake) CreateSandbox(_ context.Context, c SandboxConfig) (id string, err error) {
	s := ContainerStatus{Sandbox: true, Container: SandboxName, Attempt: c.Attempt, Grace: c.Grace, HostNetwork: c.Pod.Spec.HostNetwork}
	return f.create(c.Pod, s, ContainerConfig{}, FakeImage{Run: func(p *Process) int {
		select {
		case <-p.Stopped:
		case <-p.Killed:
		}
		return 0
	}})
}

// CreateContainer is Engine's.
func (f *Fake) CreateContainer(_ context.Context, c ContainerConfig) (id string, err error) {
	if _, err := containerConfig(c, f.node, "/none", features{}); err != nil {
		return "", err
	}
	f.mu.Lock()
	image, ok := f.images[c.Image.Ref]
	f.mu.Unlock()
	if !ok {
		return "", &kindError{ErrNotFound, fmt.Errorf("no such image: %s", c.Image.Ref)}
	}
	return f.create(c.Pod, ContainerStatus{
		Container: c.Container.Name, SandboxID: c.Sandbox, Attempt: c.Attempt, Grace: c.Grace, Backoff: c.Backoff, TTY: c.Container.TTY,
		Image: c.Image.Ref, ImageID: fakeImageID(c.Image.Ref), SpecHash: SpecHash(c.Container), MessagePolicy: c.Container.TerminationMessagePolicy,
		MessageFile: messageFile(c),
	}, c, image)
}

// messageFile is the source of the mount at the container's terminationMessagePath.
func messageFile(c ContainerConfig) string {
	for _, m := range c.Mounts {
		if m.Target == c.Container.TerminationMessagePath {
			return m.Source
		}
	}
	return ""
}

func (f *Fake) create(pod *corev1.Pod, s ContainerStatus, config ContainerConfig, image FakeImage) (id string, err error) {
	unlock, err := f.lock()
	if err != nil {
		return "", err
	}
	defer unlock()
	if !f.prepared {
		return "", errNotPrepared
	}
	s.Name = "/" + dockerName(pod, s.Container, s.Attempt)
	for id, c := range f.containers {
		if c.status.Name != s.Name {
			continue
		}
		if c.status.State == StateRunning {
			return "", fmt.Errorf("the name %s is taken by container %s", s.Name, id)
		}
		delete(f.containers, id)
		f.changed(c)
	}
	f.last++
	s.ID, s.Pod, s.Created = "fake-"+strconv.Itoa(f.last), PodRef{pod.Namespace, pod.Name, string(pod.UID)}, time.Now()
	f.containers[s.ID] = &fakeContainer{status: &s, config: config, image: image, resources: config.Resources, log: newFakeLog()}
	return s.ID, nil
}

// Start is Engine's.
func (f *Fake) Start(_ context.Context, id string) error {
	c, unlock, err := f.container(id)
	if err != nil {
		return err
	}
	defer unlock()
	if c.status.State == StateRunning {
		return nil
	}
	defer f.changed(c)
	if !c.status.Sandbox {
		if s := f.containers[c.status.SandboxID]; s == nil || s.status.State != StateRunning {
			return c.cannotRun("cannot join the namespaces of a container that does not run")
		}
	}
	if len(c.config.Command) > 0 && c.config.Command[0] != fakeEntrypoint {
		return c.cannotRun(fmt.Sprintf("exec: %q: no such file or directory", c.config.Command[0]))
	}
	s := *c.status
	s.State, s.Started, s.PID = StateRunning, time.Now(), 1<<22+f.last // more than a kernel gives
	c.status = &s
	p := newProcess(c.config.Args, c.config.Env, nil, c.log.writer(true), c.log.writer(false))
	if c.status.TTY {
		p.Err = p.Out
	}
	c.process = p
	var stdin *io.PipeReader
	if c.config.Container != nil && c.config.Container.Stdin {
		stdin, c.stdin = io.Pipe()
		p.In = stdin
	}
	go func() { // ends with the process
		code := p.run(c.image.Run)
		if stdin != nil {
			_ = stdin.Close()
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		reason := ReasonCompleted
		if code != 0 {
			reason = ReasonError
		}
		c.status = c.status.exited(code, reason, "")
		c.log.end()
		close(p.ended)
		f.changed(c)
	}()
	return nil
}

// fakeEntrypoint is the program that every image has.
const fakeEntrypoint = "/pod"

func (c *fakeContainer) cannotRun(message string) error {
	c.status = c.status.exited(127, ReasonCannotRun, message)
	return fmt.Errorf("starting container %s: %s", c.status.ID, message)
}

// Stop is Engine's.
func (f *Fake) Stop(ctx context.Context, id string, grace time.Duration) error {
	p, err := f.running(id)
	if p == nil {
		return err
	}
	p.stop()
	timer := time.NewTimer((grace + time.Second - 1).Truncate(time.Second))
	defer timer.Stop()
	select {
	case <-p.ended:
		return nil
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	p.kill()
	<-p.ended
	return nil
}

// running is the process of a container that runs, nil where it does not or is absent.
func (f *Fake) running(id string) (*Process, error) {
	unlock, err := f.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	c := f.containers[id]
	if c == nil || c.status.State != StateRunning {
		return nil, nil
	}
	return c.process, nil
}

// Remove is Engine's.
func (f *Fake) Remove(_ context.Context, id string) error {
	p, err := f.running(id)
	if err != nil {
		return err
	}
	if p != nil {
		p.kill()
		<-p.ended
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.containers[id]; c != nil {
		delete(f.containers, id)
		f.changed(c)
	}
	return nil
}

// Exec is Engine's.
func (f *Fake) Exec(ctx context.Context, id string, command []string, s Streams) (exitCode int, err error) {
	c, unlock, err := f.container(id)
	if err != nil {
		return 0, err
	}
	image, state, env := c.image, c.status.State, c.config.Env
	unlock()
	if state != StateRunning {
		return 0, notRunning(id)
	}
	out, errOut := writerOr(s.Out), writerOr(s.Err)
	if s.TTY {
		errOut = out
	}
	if command[0] != fakeEntrypoint {
		_, _ = fmt.Fprintf(errOut, "exec: %q: no such file or directory\n", command[0])
		return 127, nil
	}
	p := newProcess(command[1:], env, s.In, out, errOut)
	defer context.AfterFunc(ctx, p.kill)()
	exitCode = p.run(image.Run)
	return exitCode, ctx.Err()
}

// Attach is Engine's.
func (f *Fake) Attach(ctx context.Context, id string, s Streams) error {
	c, unlock, err := f.container(id)
	if err != nil {
		return err
	}
	log, state, stdin := c.log, c.status.State, c.stdin
	unlock()
	if state != StateRunning {
		return notRunning(id)
	}
	from := log.len()
	if s.In != nil && stdin != nil {
		go func() { // ends with s.In or the process
			_, _ = io.Copy(stdin, s.In)
			if c.config.Container.StdinOnce {
				_ = stdin.Close()
			}
		}()
	}
	return log.follow(ctx, from, func(r fakeRecord) error {
		w := s.Out
		if !r.stdout && !s.TTY {
			w = s.Err
		}
		_, err := io.WriteString(writerOr(w), r.text)
		return err
	})
}
