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

	"gantry/agents/kubelet/engine"
	"gantry/registry/safely"
)

// worker owns everything known of one pod. Its fields below the inbox belong to the goroutine of run.
type worker struct {
	k   *kubelet
	ref engine.PodRef
	log *slog.Logger

	wake    chan struct{} // one token: look again
	results chan func()   // what jobs found out, applied by run
	seen    atomic.Pointer[snapshot]

	mu    sync.Mutex // guards inbox
	inbox inbox

	pod      *corev1.Pod // as last known; made up from labels for an orphan
	known    bool        // pod came from the API
	confirm  bool        // the pod may be gone: ask
	gone     bool
	back     *corev1.Pod // came again after it was gone: another worker's, once this one is done
	failure  *failure
	admitted bool
	granted  allocation // nil: not known yet
	pending  pendingResize
	// resizeFault is why the last resize of a container failed.
	resizeFault string
	resized     bool                                   // a resize is in progress
	given       map[string]corev1.ResourceRequirements // what running containers were given last, by ID
	again       map[string]bool                        // containers, by ID, that were stopped to start again whatever their policy
	began       time.Time
	dirty       map[string]bool // containers to look at
	found       map[string]*engine.ContainerStatus
	address     netip.Addr
	boxID       string        // the sandbox that address belongs to
	making      *sandboxStart // the last one begun
	volumes     map[string]volume
	released    bool
	jobs        map[string]*job
	waits       map[string]time.Time
	problems    map[string]problem
	messages    map[string]string // by container ID
	images      map[string]string // imageID of a status by the engine's ID
	told        map[string]bool   // containers, by ID, whose back-off there was an event of
	pulls       pullBackoff
	boxFails    int // sandboxes that failed in a row
	hired       time.Time
	counted     bool // its start has been measured
	done        bool // nothing is left: run ends
}

// inbox is what others tell a worker.
type inbox struct {
	pod     *corev1.Pod
	removed bool
	dirty   map[string]bool
	resync  bool // dirty holds every container there is: others are gone
}

// job is something that takes time, done beside the worker.
type job struct {
	do     verb
	cancel context.CancelFunc
	hooked bool            // a start with a postStart handler, which is not over before that
	over   <-chan struct{} // closed when it has been done
	until  time.Time       // a stop's end of grace
}

// snapshot is what others may know of a worker's pod: read-only.
type snapshot struct {
	pod *corev1.Pod
	engine.PodStatus
	address netip.Addr
	gone    bool
	status  corev1.PodStatus
}

func newWorker(k *kubelet, ref engine.PodRef) *worker {
	return &worker{
		k: k, ref: ref, hired: time.Now(), log: k.log.With("ns", ref.Namespace, "name", ref.Name, "uid", ref.UID),
		wake: make(chan struct{}, 1), results: make(chan func(), 16),
		dirty: map[string]bool{}, found: map[string]*engine.ContainerStatus{}, jobs: map[string]*job{}, waits: map[string]time.Time{},
		problems: map[string]problem{}, messages: map[string]string{}, images: map[string]string{}, told: map[string]bool{},
		given: map[string]corev1.ResourceRequirements{}, again: map[string]bool{},
	}
}

// tell changes the inbox and wakes the worker. It never blocks.
func (w *worker) tell(change func(*inbox)) {
	w.mu.Lock()
	if w.inbox.dirty == nil {
		w.inbox.dirty = map[string]bool{}
	}
	change(&w.inbox)
	w.mu.Unlock()
	w.nudge()
}

// nudge asks for another look.
func (w *worker) nudge() {
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
		for more := true; more; { // one look for all that came together
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
		if w.done && w.k.drop(w) {
			if w.back != nil {
				w.k.tell(w.ref, true, func(in *inbox) { in.pod = w.back })
			}
			return
		}
		timer.Stop()
		if after > 0 {
			timer.Reset(after)
		}
	}
}

// safely turns a panic into an error with its stack: one bad pod stops only itself.
func (w *worker) safely(ctx context.Context, wg *sync.WaitGroup) (after time.Duration, err error) {
	err = safely.Call(func() error {
		after, err = w.step(ctx, wg)
		return err
	})
	return after, err
}

// step looks at everything and starts what is to be done.
func (w *worker) step(ctx context.Context, wg *sync.WaitGroup) (after time.Duration, err error) {
	w.done = false
	w.takeInbox()
	// Until the engine's containers are listed nobody knows what is missing, and with the engine away nothing is judged: its
	// return wakes every worker.
	if !w.k.synced.Load() || w.k.fault() != nil {
		return 0, nil
	}
	if err := w.look(ctx); err != nil {
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
	turn := w.backOffs(v)
	x := w.facts()
	p := &planner{view: v}
	w.keepRoom(p) // before the status: it may tell the scheduler that there is room
	status := podStatus(v, x)
	if w.known && !w.gone {
		v.settled = w.writeStatus(ctx, wg, status)
	}
	w.seen.Store(&snapshot{pod: v.pod, PodStatus: v.PodStatus, address: w.address, gone: w.gone, status: status})
	w.account(status)
	if p.ending() {
		w.endStarts()
	}
	actions, after := plan(v)
	for _, d := range []time.Duration{w.deadline(v.now), turn} {
		if d > 0 && (after == 0 || d < after) {
			after = d
		}
	}
	for _, a := range actions {
		w.act(ctx, wg, v, a)
	}
	w.hurry(v)
	return after, nil
}

// keepRoom holds the pod's share of the node until nothing of it runs any more.
func (w *worker) keepRoom(p *planner) {
	switch {
	case !p.ending():
	case p.quiet():
		w.k.room.leave(w.ref.UID)
	default:
		w.k.room.setEnding(w.ref.UID)
	}
}

// account measures a start at its end.
func (w *worker) account(s corev1.PodStatus) {
	if s.Phase == corev1.PodRunning && w.pod.Status.Phase != corev1.PodRunning && !w.counted {
		w.counted = true
		podStartSeconds.Observe(time.Since(w.hired).Seconds())
	}
	w.reportResize(s)
}

func (w *worker) takeInbox() {
	w.mu.Lock()
	in := w.inbox
	w.inbox = inbox{}
	w.mu.Unlock()
	if in.resync {
		for id := range w.found {
			w.dirty[id] = true // those not listed are found gone
		}
	}
	maps.Copy(w.dirty, in.dirty)
	if in.pod != nil {
		w.adopt(in.pod)
	}
	if in.removed {
		w.confirm, w.back = true, nil
	}
}

// adopt takes a newer state of the pod.
func (w *worker) adopt(pod *corev1.Pod) {
	if w.known && !newer(pod, w.pod) {
		return
	}
	if w.gone {
		w.back = pod
		return
	}
	w.pod, w.known, w.confirm = pod, true, false
	if w.began.IsZero() {
		w.began = time.Now()
		if pod.Status.StartTime != nil {
			w.began = pod.Status.StartTime.Time
		}
	}
}

// endStarts ends pulls and hooks of containers that are not wanted any more.
func (w *worker) endStarts() {
	for _, j := range w.jobs {
		if j.do == doStart {
			j.cancel()
		}
	}
}

// view is what a plan looks at; pod is the pod as granted.
func (w *worker) view(pod *corev1.Pod, now time.Time) view {
	busy := make(map[string]bool, len(w.jobs))
	for key := range w.jobs {
		if key != statusKey {
			busy[key] = true
		}
	}
	g := engine.NewPodStatus(w.found)
	v := view{
		pod: pod, PodStatus: g, given: w.given, again: w.again, gone: w.gone, failure: w.failure, networkReady: w.k.podCIDR().IsValid(),
		waitsForRoom: !w.admitted && w.failure == nil, released: w.released, busy: busy, waits: w.waits, checks: map[string]check{}, now: now,
	}
	if box := g.Sandbox(); box != nil && box.State == engine.StateRunning {
		v.addressed = (w.address.IsValid() && w.boxID == box.ID || w.pod.Spec.HostNetwork) && (w.volumes != nil || joined(g, box.ID))
	}
	for _, list := range g.Containers {
		for _, f := range list {
			if f.State == engine.StateRunning {
				v.checks[f.ID] = w.k.check(f.ID)
			}
		}
	}
	return v
}

// joined tells whether a container was ever made in the sandbox: then its volumes were there.
func joined(g engine.PodStatus, sandbox string) bool {
	for _, list := range g.Containers {
		for _, f := range list {
			if f.SandboxID == sandbox {
				return true
			}
		}
	}
	return false
}

func (w *worker) facts() facts {
	problems := maps.Clone(w.problems)
	starting := map[string]bool{}
	for key, j := range w.jobs {
		if j.hooked {
			starting[key] = true
		}
	}
	return facts{
		problems: problems, starting: starting, messages: w.messages, images: w.images,
		nodeIP: w.k.cfg.NodeIP, podIP: w.address, started: w.began, pending: w.pending, resizeFault: w.resizeFault,
	}
}
