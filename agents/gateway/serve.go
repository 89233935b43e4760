package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"sync/atomic"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/uuid"

	"gantry/registry"
	"gantry/schema"
)

// gateway is the handlers and what they share.
type gateway struct {
	cfg      Config
	reg      objects
	kinds    *schema.Set
	tokens   *tokens
	may      authorizer
	node     *nodeAuthorizer
	docs     *documents
	reads    *places
	writes   *places
	bodies   *bodies
	nodes    *kubelets
	watchers atomic.Int64 // streams open
}

// objects is what the handlers ask of the registry: nothing that is not in a request's target, and so permitted.
type objects interface {
	registry.API
	List(ctx context.Context, k *schema.Kind, namespace string, o registry.ListOptions) (registry.List, error)
	Watch(ctx context.Context, k *schema.Kind, namespace string, o registry.WatchOptions) (*registry.Watcher, error)
	Patch(ctx context.Context, k *schema.Kind, namespace, name string, change func(current *registry.Item) (schema.Object, error), o registry.WriteOptions) (*registry.Item, error)
	DeleteCollection(ctx context.Context, k *schema.Kind, namespace string, o registry.DeleteOptions, l registry.ListOptions) ([]*registry.Item, error)
	Bind(ctx context.Context, namespace, name string, binding *corev1.Binding, o registry.WriteOptions) (*registry.Item, error)
}

// newGateway builds the handlers; it starts nothing.
func newGateway(cfg Config) (*gateway, error) {
	cfg = cfg.withDefaults()
	tokens, err := newTokens(cfg)
	if err != nil {
		return nil, err
	}
	g := &gateway{
		cfg: cfg, reg: cfg.Registry, kinds: cfg.Registry.Kinds(), tokens: tokens,
		reads: newPlaces(cfg.MaxReads), writes: newPlaces(cfg.MaxWrites), bodies: newBodies(cfg.MaxWrites),
		nodes: newKubelets(cfg),
	}
	g.docs = newDocuments(g.kinds)
	g.node = &nodeAuthorizer{reg: cfg.Registry}
	g.may = firstOf{masters{}, g.node, everyone{}}
	return g, nil
}

// request is one request and what was found out about it.
type request struct {
	*http.Request
	target
	query url.Values
	user  authenticationv1.UserInfo
	shape shape
}

// handler serves a request. It writes an answer and returns nil, or returns an error and has written nothing.
type handler func(w http.ResponseWriter, r *request) error

// ServeHTTP is the chain that every request goes through.
func (g *gateway) ServeHTTP(rw http.ResponseWriter, req *http.Request) {
	w := &recorder{ResponseWriter: rw, start: time.Now()}
	r := &request{Request: req, query: req.URL.Query()}
	r.target = parseTarget(req, r.query, g.kinds)
	h := w.Header()
	h.Set("Audit-Id", string(uuid.NewUUID()))
	h.Set("Cache-Control", "no-cache, private")
	defer observe(w, r)
	defer g.recoverPanic(w, r)
	done, err := g.bound(w, r)
	defer done()
	if err == nil {
		err = g.serve(w, r)
	}
	if err != nil && !w.wrote {
		g.sendError(w, r, err)
	}
}

// serve finds out who asks, whether they may, takes the body and a place, and does it.
func (g *gateway) serve(w http.ResponseWriter, r *request) error {
	if err := checkPath(r.URL); err != nil {
		return err
	}
	if err := g.authenticate(r); err != nil {
		return err
	}
	if err := g.authorize(r); err != nil {
		return err
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		deep()
		r.Request = r.WithContext(registry.WithWriter(r.Context(), r.user.Username)) // history tells who
	}
	handle, err := g.route(w, r)
	if err != nil {
		return err
	}
	body, err := g.receive(w, r)
	defer body.release()
	if err != nil {
		return err
	}
	if r.longRunning() {
		return handle(w, r)
	}
	place, kind := g.reads, "readOnly"
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		place, kind = g.writes, "mutating"
	}
	if !place.enter(r.user.Username) {
		return apierrors.NewTooManyRequests(tooMany, 1)
	}
	defer place.leave(r.user.Username)
	inFlight.WithLabelValues(kind).Inc()
	defer inFlight.WithLabelValues(kind).Dec()
	return handle(w, r)
}

// bound gives a request its deadline; done gives it back. A long-running one has none.
func (g *gateway) bound(w *recorder, r *request) (done func(), err error) {
	if r.longRunning() {
		w.stalls = r.ProtoMajor == 1
		longRunning.WithLabelValues(r.labels()...).Inc()
		return func() {
			longRunning.WithLabelValues(r.labels()...).Dec()
			endConnection(w, r)
		}, nil
	}
	limit := g.cfg.RequestTimeout
	if v := r.query.Get("timeout"); v != "" && r.resource {
		d, err := time.ParseDuration(v)
		if err != nil {
			return func() { endConnection(w, r) }, apierrors.NewBadRequest(fmt.Sprintf("invalid timeout specified in the request URL: %v", err))
		}
		if d > 0 {
			limit = min(d, limit)
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), limit)
	r.Request = r.WithContext(ctx)
	unblocked := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(unblocked)
		unblock(w)
	})
	return func() {
		if !stop() {
			<-unblocked // w may not be used any more once the handler has returned
		} else {
			endConnection(w, r)
		}
		cancel()
	}, nil
}

// endConnection bounds what net/http does with an HTTP/1 connection once the handler has returned: it waits for the rest of a body
// that nobody has read, and for the client to take the end of the answer. The connection's next request has its own time. In
// HTTP/2 the stream ends.
func endConnection(w http.ResponseWriter, r *request) {
	if r.ProtoMajor != 1 {
		return
	}
	conn, now := http.NewResponseController(w), time.Now()
	if _, all := r.Body.(*received); !all && r.ContentLength != 0 {
		_ = conn.SetReadDeadline(now.Add(lateTime))
	}
	_ = conn.SetWriteDeadline(now.Add(2 * lateTime)) // the answer may go after the wait for the body
}

// unblock ends a request whose time is over and that waits for its client: a body that trickles in at once, an answer
// that nobody reads soon. Deadlines set ahead for every request would be the same, but in HTTP/2 each
// costs a message to the connection's goroutine. Not every ResponseWriter can do it (tests' recorders): then only the
// context bounds.
func unblock(w http.ResponseWriter) {
	conn, now := http.NewResponseController(w), time.Now()
	_ = conn.SetReadDeadline(now)
	_ = conn.SetWriteDeadline(now.Add(lateTime))
}

// lateTime is what a request whose time is over has to answer that.
const lateTime = 5 * time.Second

// recoverPanic makes one bad request stay one.
func (g *gateway) recoverPanic(w *recorder, r *request) {
	p := recover()
	if p == nil {
		return
	}
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(p) // net/http's own way to cut a connection
	}
	g.cfg.Log.Error("request panicked", "verb", r.verb, "path", r.path, "err", p, "stack", string(debug.Stack()))
	if !w.wrote {
		g.sendError(w, r, fmt.Errorf("this request caused apiserver to panic. Look in the logs for details"))
	}
}

// recorder notes what was answered, for metrics.
type recorder struct {
	http.ResponseWriter
	start time.Time
	code  int
	size  int64
	wrote bool
	// stalls tells to bound each write by watchStall, for an answer without an end in HTTP/1. In HTTP/2 the connection does.
	stalls bool
}

// Unwrap lets http.ResponseController reach what this one wraps.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader notes the code.
func (w *recorder) WriteHeader(code int) {
	if !w.wrote {
		w.code, w.wrote = code, code >= 200 || code == http.StatusSwitchingProtocols
	}
	w.ResponseWriter.WriteHeader(code)
}

// Write notes the size.
func (w *recorder) Write(b []byte) (int, error) {
	if !w.wrote {
		w.code, w.wrote = http.StatusOK, true
	}
	if w.stalls {
		_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(watchStall))
	}
	n, err := w.ResponseWriter.Write(b)
	w.size += int64(n)
	return n, err
}
