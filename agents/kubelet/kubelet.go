package kubelet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/internal/events"
	"gantry/agents/kubelet/admission"
	"gantry/agents/kubelet/allocation"
	"gantry/agents/kubelet/engine"
	"gantry/agents/kubelet/images"
	"gantry/agents/kubelet/lifecycle"
	"gantry/agents/kubelet/localvolumes"
	"gantry/agents/kubelet/node"
	"gantry/agents/kubelet/podstate"
	"gantry/agents/kubelet/probe"
	"gantry/agents/kubelet/volumes"
	"gantry/registry"
	"gantry/registry/safely"
	"gantry/schema/core"
	schemavolumes "gantry/schema/volumes"
)

// kubelet is what a node's workers share.
type kubelet struct {
	cfg     Config
	log     *slog.Logger
	engine  engine.Engine
	runner  lifecycle.Runner
	network Network
	volumes *volumes.Volumes
	// localVolumes are the directories of the node's local volumes.
	localVolumes *localvolumes.Volumes
	prober       *probe.Prober
	images       *images.Puller
	events       *events.Recorder
	node         *node.Node
	// reservations are the pods' shares of the node's resources.
	reservations *allocation.Reservations
	sysctls      admission.SysctlList
	// startingSandboxes is held by sandboxes that are being started: pods that have begun are finished before more begin.
	startingSandboxes chan struct{}

	// synced: the engine's containers have been listed, every one has its worker.
	synced atomic.Bool
	// engineFault is why the engine cannot be used, nil: it can.
	engineFault atomic.Pointer[error]
	// engineKnown is closed when the engine has answered, or has been found away, for the first time.
	engineKnown     chan struct{}
	engineKnownOnce sync.Once

	mu             sync.Mutex // guards workers, unstarted
	workers        map[string]*worker
	unstarted      []*worker     // created, not yet run
	workersCreated chan struct{} // one token: unstarted is not empty
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

// maxStartingSandboxes is how many sandboxes are being started at a time.
const maxStartingSandboxes = 8

func newKubelet(cfg Config, e engine.Engine) *kubelet {
	cfg = cfg.withDefaults()
	k := &kubelet{
		cfg: cfg, log: cfg.Log, engine: e, runner: lifecycle.Runner{Engine: e}, network: cfg.Network,
		images:            images.NewPuller(e),
		startingSandboxes: make(chan struct{}, maxStartingSandboxes), engineKnown: make(chan struct{}),
		events:  events.New(cfg.Gateway, "kubelet", cfg.NodeName, cfg.Log),
		workers: map[string]*worker{}, workersCreated: make(chan struct{}, 1), reservations: allocation.NewReservations(),
	}
	k.sysctls, _ = admission.NewSysctlList(admission.KernelRelease(), cfg.AllowedUnsafeSysctls) // Validate has checked them
	if k.network == nil {
		k.network = &vethNetwork{}
	}
	k.volumes = k.newVolumes(nil)
	k.localVolumes = localvolumes.New(localvolumes.Config{
		Dir: cfg.VolumesDir, Records: filepath.Join(cfg.DataDir, "local-volumes"), Node: cfg.NodeName, Registry: cfg.Registry, Gateway: cfg.Gateway,
		UsersOf: func(volume string) ([]string, error) { return k.volumes.UsersOf(volume) }, Events: k.events, Log: cfg.Log,
	})
	k.prober = probe.New(probe.Config{
		Exec:    k.runner.Exec,
		Changed: func(pod *corev1.Pod) { k.wakeWorker(string(pod.UID)) },
		Event: func(pod *corev1.Pod, container, reason, message string) {
			if m, ok := podstate.MemberNamed(pod, container); ok {
				k.containerEvent(pod, m, corev1.EventTypeWarning, reason, "%s", message)
			}
		},
		Log: cfg.Log,
	})
	k.node = node.New(node.Config{
		Registry: cfg.Registry, Gateway: cfg.Gateway, Name: cfg.NodeName, IPs: cfg.NodeIPs, Labels: cfg.NodeLabels, Taints: cfg.NodeTaints,
		Annotations: map[string]string{schemavolumes.LocalDirectory: cfg.VolumesDir},
		Port:        int32(cfg.Address.Port()), MaxPods: cfg.MaxPods, DataDir: cfg.DataDir, Engine: e, EngineKnown: k.engineKnown,
		Fault: k.fault, CIDRChanged: k.wakeWorkers, Events: k.events, Log: cfg.Log,
	})
	unknown := errors.New("the docker engine has not answered yet")
	k.engineFault.Store(&unknown)
	return k
}

// newVolumes returns the volumes of the node's pods, with plug-ins for more sources.
func (k *kubelet) newVolumes(plugins []volumes.Plugin) *volumes.Volumes {
	return volumes.New(volumes.Config{
		Dir: filepath.Join(k.cfg.DataDir, "pods"), API: k.cfg.Gateway, Token: k.cfg.Gateway.Token,
		Field: k.volumeField, Resource: k.volumeResource, Plugins: plugins,
		Node:      func() *corev1.Node { return k.node.Current() },
		MakeLocal: func(pv *corev1.PersistentVolume) error { return k.localVolumes.Make(pv) },
		Warn: func(pod *corev1.Pod, reason, message string) {
			k.podEvent(pod, corev1.EventTypeWarning, reason, "%s", message)
		},
	})
}

func (k *kubelet) run(ctx context.Context) error {
	// Pods' secrets are below: nobody but root may enter. Containers get them by mounts, not by this path.
	pods := filepath.Join(k.cfg.DataDir, "pods")
	if err := errors.Join(os.MkdirAll(pods, 0o700), os.Chmod(pods, 0o700)); err != nil {
		return fmt.Errorf("making the pods' directory: %w", err)
	}
	k.cfg.Health.Ready("kubelet", func(context.Context) error { return k.fault() })
	g, ctx := safely.WithContext(ctx)
	// Events and probes first: the workers use them. No worker acts until the engine's containers are listed
	// (synced), in whatever order the others begin.
	for _, part := range []struct {
		doing string
		run   func(context.Context) error
	}{
		{"writing events", k.events.Run}, {"probing", k.prober.Run}, {"running workers", k.runWorkers}, {"watching the engine", k.watchEngine},
		{"keeping the node", k.node.Run}, {"following pods", k.followPods}, {"refreshing volumes", k.refreshVolumes}, {"removing orphaned directories", k.removeOrphanedDirs},
		{"removing local volumes", k.localVolumes.Run},
		{"serving", k.serve},
	} {
		g.Go(func() error { return safely.Keep(ctx, k.log, part.doing, part.run) })
	}
	return ended(ctx, g.Wait())
}

// ended is err without the context's own error: the end of ctx is no fault.
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
			k.reservations.SetDeleted(string(old.UID), true)
			k.enqueue(podstate.RefOf(old), false, func(in *inbox) { in.removed = true })
		}
		if pod == nil || pod.Spec.NodeName != k.cfg.NodeName {
			return
		}
		if !validUID.MatchString(string(pod.UID)) {
			k.log.Error("pod ignored", "ns", pod.Namespace, "name", pod.Name, "uid", string(pod.UID), "reason", "its uid cannot be one")
			return
		}
		k.reservations.SetDeleted(string(pod.UID), podstate.Leaves(pod))
		k.enqueue(podstate.RefOf(pod), true, func(in *inbox) { in.pod, in.removed = pod, false })
	}))
}

// validUID is what a uid may be: it becomes a directory's name, and etcd's values are anyone's.
var validUID = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._-]{0,127}$`)

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

// probeResults are those of a running container; one without probes is started and ready.
func (k *kubelet) probeResults(id string) podstate.ProbeResults {
	r, ok := k.prober.Result(id)
	if !ok {
		return podstate.ProbeResults{Started: true, Ready: true}
	}
	return podstate.ProbeResults{Started: r.Started, Ready: r.Ready, Unhealthy: r.Unhealthy}
}

// services are those whose variables pods get, as the cache knows them; none while it is empty.
func (k *kubelet) services(ctx context.Context) []*corev1.Service {
	all, err := registry.For[*corev1.Service](k.cfg.Registry).CachedList(ctx, "", "")
	if err != nil {
		return nil
	}
	return all
}
