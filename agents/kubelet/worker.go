package kubelet

import (
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/allocation"
	"gantry/agents/kubelet/engine"
	"gantry/agents/kubelet/images"
	"gantry/agents/kubelet/podstate"
	"gantry/agents/kubelet/podstatus"
	"gantry/agents/kubelet/volumes"
	"gantry/registry/safely"
)

// worker owns everything known of one pod. Its fields below the inbox belong to the goroutine of run.
type worker struct {
	k   *kubelet
	ref engine.PodRef
	log *slog.Logger

	wake     chan struct{} // one token: step again
	results  chan func()   // what jobs lead to, applied by run
	snapshot atomic.Pointer[snapshot]

	mu    sync.Mutex // guards inbox
	inbox inbox

	pod       *corev1.Pod // as last known; made from labels where the API's is not known
	known     bool        // pod came from the API
	confirm   bool        // the pod may be gone: ask the API
	gone      bool
	recreated *corev1.Pod // created again with the same UID after it was gone: for the next worker
	failure   *podstate.Failure
	admitted  bool
	granted   allocation.Allocation // nil: not known yet
	pending   allocation.PendingResize
	// resizeFault is why the last resize of a container failed.
	resizeFault     string
	resized         bool                                   // a resize is in progress
	actuated        map[string]corev1.ResourceRequirements // what running containers were given last, by ID
	resizeRestarts  map[string]bool                        // containers, by ID, that were stopped to start again whatever their policy
	firstSeen       time.Time
	dirty           map[string]bool // containers to inspect
	statuses        map[string]*engine.ContainerStatus
	addresses       []netip.Addr
	addressSandbox  string        // the sandbox that addresses belong to
	startingSandbox *sandboxStart // the last one
	volumes         map[string]volumes.Mounted
	released        bool
	jobs            map[string]*job
	waits           map[string]time.Time
	problems        map[string]podstatus.Problem
	messages        map[string]string // by container ID
	images          map[string]string // imageID of a status by the engine's ID
	backOffRecorded map[string]bool   // containers, by ID, whose back-off has its event
	pulls           images.Backoff
	sandboxFailures int // in a row
	created         time.Time
	startMeasured   bool
	done            bool // nothing is left: run ends
}

// inbox is what others give a worker.
type inbox struct {
	pod     *corev1.Pod
	removed bool
	dirty   map[string]bool
	resync  bool // dirty holds every container there is: others are gone
}

// snapshot is what others may know of a worker's pod. It is read-only.
type snapshot struct {
	pod *corev1.Pod
	engine.PodStatus
	gone   bool
	status corev1.PodStatus
}

func newWorker(k *kubelet, ref engine.PodRef) *worker {
	return &worker{
		k: k, ref: ref, created: time.Now(), log: k.log.With("ns", ref.Namespace, "name", ref.Name, "uid", ref.UID),
		wake: make(chan struct{}, 1), results: make(chan func(), 16),
		dirty: map[string]bool{}, statuses: map[string]*engine.ContainerStatus{}, jobs: map[string]*job{}, waits: map[string]time.Time{},
		problems: map[string]podstatus.Problem{}, messages: map[string]string{}, images: map[string]string{}, backOffRecorded: map[string]bool{},
		actuated: map[string]corev1.ResourceRequirements{}, resizeRestarts: map[string]bool{},
	}
}

// enqueue changes the inbox and wakes the worker. It never blocks.
func (w *worker) enqueue(change func(*inbox)) {
	w.mu.Lock()
	if w.inbox.dirty == nil {
		w.inbox.dirty = map[string]bool{}
	}
	change(&w.inbox)
	w.mu.Unlock()
	w.wakeUp()
}

// wakeUp asks for another step. It never blocks.
func (w *worker) wakeUp() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// stepRetry is how soon a step that failed is tried again.
const stepRetry = time.Second

// run steps until ctx is done or nothing is left of the pod, and waits for its jobs.
func (w *worker) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		case <-timer.C:
		case apply := <-w.results:
			apply()
		}
		for more := true; more; { // one step for all that came together
			select {
			case apply := <-w.results:
				apply()
			default:
				more = false
			}
		}
		after, err := w.safely(ctx, &wg)
		if err != nil && ctx.Err() == nil {
			w.log.Warn("pod step failed", "after", stepRetry, "err", err)
			after = stepRetry
		}
		if w.done && w.k.removeWorker(w) {
			if w.recreated != nil {
				w.k.enqueue(w.ref, true, func(in *inbox) { in.pod = w.recreated })
			}
			return
		}
		timer.Stop()
		if after > 0 {
			timer.Reset(after)
		}
	}
}

// safely turns a panic into an error with its stack: other pods go on.
func (w *worker) safely(ctx context.Context, wg *sync.WaitGroup) (after time.Duration, err error) {
	err = safely.Call(func() error {
		after, err = w.step(ctx, wg)
		return err
	})
	return after, err
}

// step observes the pod, writes its status and starts what is to be done.
func (w *worker) step(ctx context.Context, wg *sync.WaitGroup) (after time.Duration, err error) {
	w.done = false
	w.takeInbox()
	// Until the engine's containers are listed it is not known what is missing, and with the engine away nothing is decided: its
	// return wakes every worker.
	if !w.k.synced.Load() || w.k.fault() != nil {
		return 0, nil
	}
	if err := w.inspect(ctx); err != nil {
		return 0, err
	}
	if w.confirm || (!w.known && !w.gone) {
		w.spawn(ctx, wg, confirmKey, &job{}, w.confirmGone)
		return 0, nil
	}
	if !w.gone {
		w.admit()
	}
	v := w.view(w.allocate(), time.Now())
	nextBackOff := w.recordBackOffs(v)
	x := w.facts()
	w.updateReservation(v) // before the status: it may show the scheduler that resources are free
	status := podstatus.Of(v, x)
	if w.known && !w.gone {
		v.Settled = w.writeStatus(ctx, wg, status)
	}
	w.snapshot.Store(&snapshot{pod: v.Pod, PodStatus: v.PodStatus, gone: w.gone, status: status})
	w.measureStart(status)
	w.reportResize(status)
	if v.Ending() {
		w.cancelStarts()
	}
	actions, after := plan(v)
	for _, d := range []time.Duration{w.deadline(v.Now), nextBackOff} {
		if d > 0 && (after == 0 || d < after) {
			after = d
		}
	}
	for _, a := range actions {
		w.execute(ctx, wg, v, a)
	}
	w.shortenStops(v)
	return after, nil
}

// updateReservation ends the pod's reservation when none of its containers runs any more.
func (w *worker) updateReservation(v podstate.View) {
	switch {
	case !v.Ending():
	case v.AllStopped():
		w.k.reservations.Remove(w.ref.UID)
	default:
		w.k.reservations.SetEnding(w.ref.UID)
	}
}

// measureStart measures the pod's start once it runs.
func (w *worker) measureStart(s corev1.PodStatus) {
	if s.Phase == corev1.PodRunning && w.pod.Status.Phase != corev1.PodRunning && !w.startMeasured {
		w.startMeasured = true
		podStartSeconds.Observe(time.Since(w.created).Seconds())
	}
}

func (w *worker) takeInbox() {
	w.mu.Lock()
	in := w.inbox
	w.inbox = inbox{}
	w.mu.Unlock()
	if in.resync {
		for id := range w.statuses {
			w.dirty[id] = true // those not listed are gone
		}
	}
	maps.Copy(w.dirty, in.dirty)
	if in.pod != nil {
		w.adopt(in.pod)
	}
	if in.removed {
		w.confirm, w.recreated = true, nil
	}
}

// adopt takes a newer state of the pod.
func (w *worker) adopt(pod *corev1.Pod) {
	if w.known && !newer(pod, w.pod) {
		return
	}
	if w.gone {
		w.recreated = pod
		return
	}
	w.pod, w.known, w.confirm = pod, true, false
	if w.firstSeen.IsZero() {
		w.firstSeen = time.Now()
		if pod.Status.StartTime != nil {
			w.firstSeen = pod.Status.StartTime.Time
		}
	}
}

// cancelStarts cancels the starts of containers that are to end, with their pulls and hooks, and that of a sandbox which is not created yet.
func (w *worker) cancelStarts() {
	if w.startingSandbox != nil {
		w.startingSandbox.abandon()
	}
	for _, j := range w.jobs {
		if j.do == doStart {
			j.cancel()
		}
	}
}

// view is what a plan is made from; pod is the pod as granted.
func (w *worker) view(pod *corev1.Pod, now time.Time) podstate.View {
	busy := make(map[string]bool, len(w.jobs))
	for key := range w.jobs {
		if key != statusKey {
			busy[key] = true
		}
	}
	s := engine.NewPodStatus(w.statuses)
	v := podstate.View{
		Pod: pod, PodStatus: s, Actuated: w.actuated, ResizeRestarts: w.resizeRestarts, Gone: w.gone, Failure: w.failure, NetworkReady: len(w.k.node.PodCIDRs()) > 0,
		WaitsForResources: !w.admitted && w.failure == nil, Released: w.released, Busy: busy, Waits: w.waits, Probes: map[string]podstate.ProbeResults{}, Now: now,
	}
	if sandbox := s.Sandbox(); sandbox != nil && sandbox.State == engine.StateRunning {
		v.Addressed = (len(w.addresses) > 0 && w.addressSandbox == sandbox.ID || w.pod.Spec.HostNetwork) && (w.volumes != nil || hasContainers(s, sandbox.ID))
	}
	for _, list := range s.Containers {
		for _, cs := range list {
			if cs.State == engine.StateRunning {
				v.Probes[cs.ID] = w.k.probeResults(cs.ID)
			}
		}
	}
	return v
}

// hasContainers tells whether a container was ever created in the sandbox: then the pod's volumes were mounted.
func hasContainers(s engine.PodStatus, sandbox string) bool {
	for _, list := range s.Containers {
		for _, cs := range list {
			if cs.SandboxID == sandbox {
				return true
			}
		}
	}
	return false
}

func (w *worker) facts() podstatus.Facts {
	problems := maps.Clone(w.problems)
	starting := map[string]bool{}
	for key, j := range w.jobs {
		if j.hooked {
			starting[key] = true
		}
	}
	return podstatus.Facts{
		Problems: problems, Starting: starting, Messages: w.messages, Images: w.images,
		NodeIPs: w.k.cfg.NodeIPs, PodIPs: w.addresses, Started: w.firstSeen, Pending: w.pending, ResizeFault: w.resizeFault,
	}
}
