// Package events records Kubernetes Events: what an agent did with an object, and why.
package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
)

// Recorder queues events, which Run writes. An event with the object, reason and text of an earlier one raises the count of that
// one. The events of one object are rate limited, as in client-go. When the queue is full new events are dropped.
type Recorder struct {
	component string
	host      string
	*queue
}

// queue is what the recorders of one process share.
type queue struct {
	api    registry.API
	log    *slog.Logger
	events chan *corev1.Event

	mu     sync.Mutex               // guards what follows
	seen   map[string]string        // names of written events by content
	limits map[string]*rate.Limiter // by object
	last   int64                    // in the name of the last event, in nanoseconds since 1970
}

// queueLength is the capacity of the queue, in events.
const queueLength = 1000

// New returns a recorder whose events have the source component ("kubelet") and host (a node's name or "").
func New(api registry.API, component, host string, log *slog.Logger) *Recorder {
	return &Recorder{component, host, &queue{
		api: api, log: log, events: make(chan *corev1.Event, queueLength), seen: map[string]string{}, limits: map[string]*rate.Limiter{},
	}}
}

// WithComponent returns a recorder with another source component. r's Run writes its events too.
func (r *Recorder) WithComponent(component string) *Recorder {
	return &Recorder{component, r.host, r.queue}
}

// The rate limit of the events of one object, as client-go has it.
const (
	objectBurst = 25
	objectEvery = 5 * time.Minute
)

// exceedsLimit reports whether an object has had its events. Objects are told apart by name and uid, as a value that cannot be read has no
// uid.
func (r *queue) exceedsLimit(ref corev1.ObjectReference, now time.Time) bool {
	object := fmt.Sprint(ref.Kind, "/", ref.Namespace, "/", ref.Name, "/", ref.UID)
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.limits[object]
	if l == nil {
		if len(r.limits) >= maxSeen {
			clear(r.limits)
		}
		l = rate.NewLimiter(rate.Every(objectEvery), objectBurst)
		r.limits[object] = l
	}
	return !l.AllowN(now, 1)
}

// Event records that reason happened to obj; kind is corev1.EventTypeNormal or EventTypeWarning. It never blocks.
func (r *Recorder) Event(k *schema.Kind, obj schema.Object, kind, reason, format string, args ...any) {
	r.Ref(corev1.ObjectReference{
		APIVersion: k.APIVersion(), Kind: k.Kind, Namespace: obj.GetNamespace(), Name: obj.GetName(),
		UID: obj.GetUID(), ResourceVersion: obj.GetResourceVersion(),
	}, kind, reason, format, args...)
}

// Ref is Event for an object known by its reference; ref.FieldPath may name a container
// ("spec.containers{web}").
func (r *Recorder) Ref(ref corev1.ObjectReference, kind, reason, format string, args ...any) {
	now := metav1.Now()
	if r.exceedsLimit(ref, now.Time) {
		return
	}
	stamp := r.stamp(now.Time)
	ns := ref.Namespace
	if ns == "" {
		ns = metav1.NamespaceDefault
	}
	ev := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: ns, Name: fmt.Sprintf("%s.%x", ref.Name, stamp)},
		InvolvedObject: ref,
		Type:           kind, Reason: reason, Message: fmt.Sprintf(format, args...),
		Source:              corev1.EventSource{Component: r.component, Host: r.host},
		FirstTimestamp:      now,
		LastTimestamp:       now,
		Count:               1,
		ReportingController: r.component,
		ReportingInstance:   r.host,
	}
	select {
	case r.events <- ev:
	default:
		r.log.Warn("event dropped", "reason", reason, "ns", ns, "name", ref.Name)
	}
}

// stamp is the time in the name of an event. Two events of one nanosecond have different ones.
func (r *queue) stamp(now time.Time) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = max(now.UnixNano(), r.last+1)
	return r.last
}

// flushTimeout bounds writing the queued events after ctx is done.
const flushTimeout = time.Second

// Run writes events until ctx is done and the queue is empty. Events that are queued when ctx is done are written within
// flushTimeout.
func (r *Recorder) Run(ctx context.Context) error {
	writing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(flushTimeout, stop) })()
	for {
		select {
		case ev := <-r.events:
			r.write(writing, ev)
			continue
		default:
		}
		select {
		case ev := <-r.events:
			r.write(writing, ev)
		case <-ctx.Done():
			return nil
		}
	}
}

// maxSeen bounds seen and limits, in entries; a full map is cleared.
const maxSeen = 4096

func (r *queue) write(ctx context.Context, ev *corev1.Event) {
	o := ev.InvolvedObject
	key := fmt.Sprint(o.Kind, "/", ev.Namespace, "/", o.Name, "/", o.UID, "/", o.FieldPath, "/", ev.Type, "/", ev.Reason, "/", ev.Message)
	r.mu.Lock()
	name, repeated := r.seen[key]
	if !repeated {
		if len(r.seen) >= maxSeen {
			clear(r.seen)
		}
		r.seen[key] = ev.Name
	}
	r.mu.Unlock()
	if repeated {
		_, err := r.api.Modify(ctx, core.Event, ev.Namespace, name, func(current schema.Object) (schema.Object, error) {
			e := current.(*corev1.Event)
			e.Count++
			e.LastTimestamp = ev.LastTimestamp
			return e, nil
		}, registry.WriteOptions{})
		if err == nil {
			return
		}
		r.mu.Lock()
		r.seen[key] = ev.Name
		r.mu.Unlock()
	}
	_, err := r.api.Create(ctx, core.Event, ev, registry.WriteOptions{})
	if err != nil && !errors.Is(err, registry.Forbidden) && ctx.Err() == nil { // Forbidden: the namespace is terminating
		r.log.Warn("event not written", "reason", ev.Reason, "ns", ev.Namespace, "name", o.Name, "err", err)
	}
}
