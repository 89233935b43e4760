package kubelet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/internal/events"
	"gantry/agents/kubelet/engine"
	"gantry/agents/kubelet/probe"
	"gantry/agents/kubelet/volumes"
	"gantry/registry"
	"gantry/registry/safely"
	"gantry/schema/core"
)

// kubelet is what a node's workers share.
type kubelet struct {
	cfg     Config
	log     *slog.Logger
	engine  engine.Engine
	goarch  string
	network Network
	volumes *volumes.Volumes
	prober  *probe.Prober
	images  *images
	events  *events.Recorder
	node    *node
	room    *room
	sysctls sysctlList
	// sandboxes is held by pause containers on their way up: begun pods are finished before more are begun.
	sandboxes chan struct{}

	// synced: the engine's containers have been listed, every one has its worker.
	synced atomic.Bool
	// engineFault is why the engine cannot be used, nil: it can.
	engineFault atomic.Pointer[error]
	// engineKnown is closed when the engine has answered, or has been found away, for the first time.
	engineKnown     chan struct{}
	engineKnownOnce sync.Once
	// cidr is the node's podCIDR, nil until it has one.
	cidr atomic.Pointer[netip.Prefix]

	mu      sync.Mutex // guards workers, fresh
	workers map[string]*worker
	fresh   []*worker // not yet started
	hired   chan struct{}
}

// Run runs the node's pods until ctx is done. Containers outlive it.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	d, err := engine.Open(cfg.DockerHost)
	if err != nil {
		return err
	}
	defer d.Close()
	return newKubelet(cfg, engine.New(d, engine.Config{Node: cfg.NodeName, DataDir: cfg.withDefaults().DataDir})).run(ctx)
}

// startingSandboxes is how many pause containers are on their way up at a time.
const startingSandboxes = 8

func newKubelet(cfg Config, e engine.Engine) *kubelet {
	cfg = cfg.withDefaults()
	k := &kubelet{
		cfg: cfg, log: cfg.Log, engine: e, goarch: runtime.GOARCH, network: cfg.Network,
		images:    &images{engine: e},
		sandboxes: make(chan struct{}, startingSandboxes), engineKnown: make(chan struct{}),
		events:  events.New(cfg.Gateway, "kubelet", cfg.NodeName, cfg.Log),
		workers: map[string]*worker{}, hired: make(chan struct{}, 1), room: newRoom(),
	}
	k.sysctls, _ = newSysctlList(kernelRelease(), cfg.AllowedUnsafeSysctls) // Validate has looked at them
	if k.network == nil {
		k.network = &vethNetwork{}
	}
	k.volumes = volumes.New(volumes.Config{
		Dir: filepath.Join(cfg.DataDir, "pods"), API: cfg.Gateway, Token: cfg.Gateway.Token,
		Field: k.volumeField, Resource: k.volumeResource,
	})
	k.prober = probe.New(probe.Config{
		Exec:    k.exec,
		Changed: func(pod *corev1.Pod) { k.nudge(string(pod.UID)) },
		Event: func(pod *corev1.Pod, container, reason, message string) {
			if m, ok := memberNamed(pod, container); ok {
				k.containerEvent(pod, m, corev1.EventTypeWarning, reason, "%s", message)
			}
		},
		Log: cfg.Log,
	})
	k.node = newNode(k)
	unknown := errors.New("the docker engine has not answered yet")
	k.engineFault.Store(&unknown)
	return k
}

func (k *kubelet) run(ctx context.Context) error {
	// Pods' secrets lie below: nobody but root passes. Containers come to them by mounts, not by this path.
	pods := filepath.Join(k.cfg.DataDir, "pods")
	if err := errors.Join(os.MkdirAll(pods, 0o700), os.Chmod(pods, 0o700)); err != nil {
		return fmt.Errorf("making the pods' directory: %w", err)
	}
	k.cfg.Health.Ready("kubelet", func(context.Context) error { return k.fault() })
	g, ctx := safely.WithContext(ctx)
	// Events and probes first: the workers use them. The engine's list comes before the pods, whoever asks first: no worker acts
	// until it is there (synced).
	for _, part := range []struct {
		doing string
		run   func(context.Context) error
	}{
		{"writing events", k.events.Run}, {"probing", k.prober.Run}, {"running workers", k.runWorkers}, {"watching the engine", k.watchEngine},
		{"keeping the node", k.node.run}, {"following pods", k.followPods}, {"refreshing volumes", k.refreshVolumes}, {"sweeping", k.sweep},
		{"serving", k.serve},
	} {
		g.Go(func() error { return safely.Keep(ctx, k.log, part.doing, part.run) })
	}
	return ended(ctx, g.Wait())
}

// ended takes the context's own error out: the end of ctx is no fault.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, ctx.Err())) {
		return nil
	}
	return err
}

// followPods gives every pod of the node to its worker.
func (k *kubelet) followPods(ctx context.Context) error {
	return ended(ctx, k.cfg.Registry.Follow(ctx, core.Pod, func(c registry.Change) {
		var old, pod *corev1.Pod
		if c.Old != nil {
			old = c.Old.Object().(*corev1.Pod)
		}
		if c.New != nil {
			pod = c.New.Object().(*corev1.Pod)
		}
		if old != nil && (pod == nil || pod.UID != old.UID) {
			k.room.setDeleted(string(old.UID), true)
			k.tell(refOf(old), false, func(in *inbox) { in.removed = true })
		}
		if pod == nil || pod.Spec.NodeName != k.cfg.NodeName {
			return
		}
		if !validUID.MatchString(string(pod.UID)) {
			k.log.Error("pod ignored", "ns", pod.Namespace, "name", pod.Name, "uid", string(pod.UID), "reason", "its uid cannot be one")
			return
		}
		k.room.setDeleted(string(pod.UID), leaves(pod))
		k.tell(refOf(pod), true, func(in *inbox) { in.pod, in.removed = pod, false })
	}))
}

// validUID is what a uid may be: it becomes a directory's name, and etcd's values are anyone's.
var validUID = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._-]{0,127}$`)

// tell gives a pod's worker news; hire makes one where there is none.
func (k *kubelet) tell(ref engine.PodRef, hire bool, news func(*inbox)) {
	k.mu.Lock()
	defer k.mu.Unlock() // held while telling, so that drop sees either no news or all
	w := k.workers[ref.UID]
	if w == nil {
		if !hire {
			return
		}
		w = newWorker(k, ref)
		k.workers[ref.UID] = w
		k.fresh = append(k.fresh, w)
		select {
		case k.hired <- struct{}{}:
		default:
		}
	}
	w.tell(news)
}

// runWorkers starts hired workers and waits for all.
func (k *kubelet) runWorkers(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		k.mu.Lock()
		fresh := k.fresh
		k.fresh = nil
		k.mu.Unlock()
		for _, w := range fresh {
			wg.Go(func() { w.run(ctx) })
		}
		select {
		case <-k.hired:
		case <-ctx.Done():
			return nil
		}
	}
}

// drop forgets a worker that has nothing left, unless there is news for it.
func (k *kubelet) drop(w *worker) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.inbox.pod != nil || len(w.inbox.dirty) > 0 {
		return false
	}
	delete(k.workers, w.ref.UID)
	k.room.leave(w.ref.UID)
	return true
}

// nudge lets a pod's worker look again.
func (k *kubelet) nudge(uid string) {
	k.mu.Lock()
	w := k.workers[uid]
	k.mu.Unlock()
	if w != nil {
		w.nudge()
	}
}

// nudgeAll lets every worker look again.
func (k *kubelet) nudgeAll() {
	for _, w := range k.allWorkers() {
		w.nudge()
	}
}

func (k *kubelet) allWorkers() []*worker {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := make([]*worker, 0, len(k.workers))
	for _, w := range k.workers {
		all = append(all, w)
	}
	return all
}

// fault is what keeps the node from running pods.
func (k *kubelet) fault() error {
	if err := *k.engineFault.Load(); err != nil {
		return fmt.Errorf("container runtime is down: %w", err)
	}
	return nil
}

func (k *kubelet) setEngineFault(err error) {
	k.engineFault.Store(&err)
	k.engineKnownOnce.Do(func() { close(k.engineKnown) })
}

// podCIDR is the node's range of pod addresses; not valid until it has one.
func (k *kubelet) podCIDR() netip.Prefix {
	if p := k.cidr.Load(); p != nil {
		return *p
	}
	return netip.Prefix{}
}

// check is what the probes say of a running container; one without probes is well.
func (k *kubelet) check(id string) check {
	r, ok := k.prober.Result(id)
	if !ok {
		return check{started: true, ready: true}
	}
	return check{started: r.Started, ready: r.Ready, unhealthy: r.Unhealthy}
}

// services are those whose variables pods get, as the cache knows them; none while it is empty.
func (k *kubelet) services(ctx context.Context) []*corev1.Service {
	all, err := registry.For[*corev1.Service](k.cfg.Registry).CachedList(ctx, "", "")
	if err != nil {
		return nil
	}
	return all
}
