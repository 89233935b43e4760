package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Fake is an Engine in memory, for tests: what its containers run are functions. It keeps the contract of Engine, which enginetest
// runs on it and on Docker alike; what it leaves out is what only a kernel does: namespaces, mounts and limits.
type Fake struct {
	node string

	mu         sync.Mutex // guards what follows, and the containers
	prepared   bool
	fault      error
	last       int // number of the last container
	images     map[string]FakeImage
	registry   map[string]FakeImage
	containers map[string]*fakeContainer
	watches    map[int]*fakeWatch
}

var _ Engine = (*Fake)(nil)

// FakeImage is an image of a Fake.
type FakeImage struct {
	// Run is what its containers and their commands run.
	Run  Program
	User string
	// Username is whose credential a pull needs; "": none.
	Username string
}

// fakeContainer is a container of a Fake; status is replaced when it changes.
type fakeContainer struct {
	status    *ContainerStatus
	config    ContainerConfig
	image     FakeImage
	resources Resources
	log       *fakeLog
	process   *Process       // nil until it is started
	stdin     *io.PipeWriter // nil without Stdin
}

// fakeWatch is one Watch: changes it has not handled yet.
type fakeWatch struct {
	pending []Ref
	wake    chan struct{}
}

// NewFake returns the engine of a node without images.
func NewFake(node string) *Fake {
	return &Fake{
		node: node, images: map[string]FakeImage{}, registry: map[string]FakeImage{}, containers: map[string]*fakeContainer{}, watches: map[int]*fakeWatch{},
	}
}

// AddImage adds an image to the engine, AddToRegistry one that can be pulled. ref has a tag.
func (f *Fake) AddImage(ref string, i FakeImage) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.images[ref] = i
}

// AddToRegistry adds an image that can be pulled.
func (f *Fake) AddToRegistry(ref string, i FakeImage) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.registry[ref] = i
}

// SetFault makes the engine unreachable with that error; nil: reachable. Containers go on.
func (f *Fake) SetFault(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = nil
	if err != nil {
		f.fault = &kindError{ErrUnreachable, err}
	}
	for _, w := range f.watches {
		w.notify()
	}
}

// lock locks f for one call, unless the engine is unreachable.
func (f *Fake) lock() (unlock func(), err error) {
	f.mu.Lock()
	if f.fault != nil {
		defer f.mu.Unlock()
		return nil, f.fault
	}
	return f.mu.Unlock, nil
}

// Check is Engine's.
func (f *Fake) Check(context.Context) error {
	unlock, err := f.lock()
	if err == nil {
		unlock()
	}
	return err
}

// Prepare is Engine's.
func (f *Fake) Prepare(context.Context) error {
	unlock, err := f.lock()
	if err != nil {
		return err
	}
	defer unlock()
	f.prepared = true
	return nil
}

// Info is Engine's.
func (f *Fake) Info(ctx context.Context) (Info, error) {
	if err := f.Check(ctx); err != nil {
		return Info{}, err
	}
	return Info{Version: "28.0.0", KernelVersion: "6.1.0", OperatingSystem: "fake", CPUs: 4, Memory: 8 << 30}, nil
}

// Watch is Engine's.
func (f *Fake) Watch(ctx context.Context, begin func() error, changed func(Ref)) error {
	w := &fakeWatch{wake: make(chan struct{}, 1)}
	unlock, err := f.lock()
	if err != nil {
		return err
	}
	f.last++
	key := f.last
	f.watches[key] = w
	unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.watches, key)
	}()
	if err := begin(); err != nil {
		return err
	}
	for {
		f.mu.Lock()
		refs, fault := w.pending, f.fault
		w.pending = nil
		f.mu.Unlock()
		for _, ref := range refs {
			changed(ref)
		}
		if fault != nil {
			return fault
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (w *fakeWatch) notify() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// changed reports a change of a container to every watch. f.mu is held.
func (f *Fake) changed(c *fakeContainer) {
	for _, w := range f.watches {
		w.pending = append(w.pending, c.ref())
		w.notify()
	}
}

func (c *fakeContainer) ref() Ref {
	return Ref{ID: c.status.ID, Pod: c.status.Pod, Sandbox: c.status.Sandbox}
}

// List is Engine's.
func (f *Fake) List(context.Context) ([]Ref, error) {
	unlock, err := f.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	var refs []Ref
	for _, id := range slices.Sorted(maps.Keys(f.containers)) {
		refs = append(refs, f.containers[id].ref())
	}
	return refs, nil
}

// Container is Engine's.
func (f *Fake) Container(_ context.Context, id string) (*ContainerStatus, error) {
	c, unlock, err := f.container(id)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return c.status, nil
}

// container finds a container and locks f.
func (f *Fake) container(id string) (c *fakeContainer, unlock func(), err error) {
	if unlock, err = f.lock(); err != nil {
		return nil, nil, err
	}
	if c = f.containers[id]; c == nil {
		unlock()
		return nil, nil, &kindError{ErrNotFound, fmt.Errorf("no such container: %s", id)}
	}
	return c, unlock, nil
}

// Image is Engine's.
func (f *Fake) Image(_ context.Context, ref string) (*Image, error) {
	unlock, err := f.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	for name, i := range f.images {
		if name == ref || fakeImageID(name) == ref {
			return &Image{ID: fakeImageID(name), Ref: ref, User: i.User, Size: 1 << 20, Tags: []string{name}}, nil
		}
	}
	return nil, &kindError{ErrNotFound, fmt.Errorf("no such image: %s", ref)}
}

func fakeImageID(ref string) string { return "sha256:" + ref }

// Images is Engine's.
func (f *Fake) Images(context.Context) ([]Image, error) {
	unlock, err := f.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	var all []Image
	for name := range f.images {
		all = append(all, Image{ID: fakeImageID(name), Size: 1 << 20, Tags: []string{name}})
	}
	slices.SortFunc(all, func(a, b Image) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

// Pull is Engine's.
func (f *Fake) Pull(_ context.Context, ref string, secrets []*corev1.Secret) error {
	unlock, err := f.lock()
	if err != nil {
		return err
	}
	defer unlock()
	i, ok := f.registry[ref]
	if !ok {
		return fmt.Errorf("manifest for %s not found", ref)
	}
	if i.Username != "" {
		ok = false
		for _, a := range imageAuths(ref, secrets) {
			ok = ok || a.Username == i.Username
		}
	}
	if !ok {
		return fmt.Errorf("pull access denied for %s", ref)
	}
	f.images[ref] = i
	return nil
}

// Resize is Engine's.
func (f *Fake) Resize(_ context.Context, id string, r Resources) error {
	c, unlock, err := f.container(id)
	if err != nil {
		return err
	}
	defer unlock()
	if c.status.State != StateRunning {
		return notRunning(id)
	}
	c.resources = r
	return nil
}

// MemoryUsage is Engine's.
func (f *Fake) MemoryUsage(_ context.Context, id string) (int64, error) {
	c, unlock, err := f.container(id)
	if err != nil {
		return 0, err
	}
	defer unlock()
	if c.status.State != StateRunning {
		return 0, nil
	}
	return 1 << 20, nil
}

// errNotPrepared is the error of creating a container before Prepare.
var errNotPrepared = errors.New("the engine has not been prepared")

// exited is a status of a container that has ended now.
func (s ContainerStatus) exited(code int, reason, message string) *ContainerStatus {
	s.State, s.PID, s.Exit = StateExited, 0, Exit{Code: code, Reason: reason, Message: message, Finished: time.Now()}
	return &s
}
