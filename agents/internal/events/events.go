// Package events writes Kubernetes Events: what an agent did with an object, and why.
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

// Recorder queues events and writes them in the background. A repetition (same object, reason and text within
// an hour) raises the count of the event there is. One object gets a burst of events and then few more, as Kubernetes'
// clients have it: the thousandth pod of a replica set is no news. When nobody can write them they are dropped, oldest
// kept: an event never holds its agent up.
type Recorder struct {
	component string
	host      string
	*desk
}

// desk is what the recorders of one process share.
type desk struct {
	api   registry.API
	log   *slog.Logger
	queue chan *corev1.Event

	mu     sync.Mutex // guards seen and limits
	seen   map[string]string
	limits map[string]*rate.Limiter
}

// queueLength bounds the events that wait to be written.
const queueLength = 1000

// New returns a recorder that signs its events with component ("kubelet") and host (a node's name or "").
func New(api registry.API, component, host string, log *slog.Logger) *Recorder {
	return &Recorder{component, host, &desk{
		api: api, log: log, queue: make(chan *corev1.Event, queueLength), seen: map[string]string{}, limits: map[string]*rate.Limiter{},
	}}
}

// As is r signing with another component; r's Run writes its events too.
func (r *Recorder) As(component string) *Recorder { return &Recorder{component, r.host, r.desk} }

// The events of one object: a burst, then one every five minutes.
const (
	objectBurst = 25
	objectEvery = 5 * time.Minute
)

// spam tells that an object has had its share of events. Its name counts as well as its uid: what is wrong in etcd has none.
func (r *desk) spam(ref corev1.ObjectReference, now time.Time) bool {
	object := fmt.Sprint(ref.Kind, "/", ref.Namespace, "/", ref.Name, "/", ref.UID)
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.limits[object]
	if l == nil {
		if len(r.limits) >= seenMax {
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
	if r.spam(ref, now.Time) {
		return
	}
	ns := ref.Namespace
	if ns == "" {
		ns = metav1.NamespaceDefault
	}
	ev := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: ns, Name: fmt.Sprintf("%s.%x", ref.Name, now.UnixNano())},
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
	case r.queue <- ev:
	default:
		r.log.Warn("event dropped", "reason", reason, "ns", ns, "name", ref.Name)
	}
}

// flushTime is how long events that are queued when the agent ends may take to be written.
const flushTime = time.Second

// Run writes events until ctx is done and nothing is queued any more. What is being written or queued when ctx ends has
// flushTime left: the last thing an agent did is the one its admin asks about.
func (r *Recorder) Run(ctx context.Context) error {
	writing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(flushTime, stop) })()
	for {
		select {
		case ev := <-r.queue:
			r.write(writing, ev)
			continue
		default:
		}
		select {
		case ev := <-r.queue:
			r.write(writing, ev)
		case <-ctx.Done():
			return nil
		}
	}
}

// seenMax bounds the memory of repetitions.
const seenMax = 4096

func (r *desk) write(ctx context.Context, ev *corev1.Event) {
	o := ev.InvolvedObject
	key := fmt.Sprint(o.Kind, "/", ev.Namespace, "/", o.Name, "/", o.UID, "/", o.FieldPath, "/", ev.Type, "/", ev.Reason, "/", ev.Message)
	r.mu.Lock()
	name, again := r.seen[key]
	if !again {
		if len(r.seen) >= seenMax {
			clear(r.seen)
		}
		r.seen[key] = ev.Name
	}
	r.mu.Unlock()
	if again {
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
	if err != nil && !errors.Is(err, registry.Forbidden) && ctx.Err() == nil { // Forbidden: the namespace is going
		r.log.Warn("event not written", "reason", ev.Reason, "ns", ev.Namespace, "name", o.Name, "err", err)
	}
}
