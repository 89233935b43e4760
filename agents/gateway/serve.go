package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

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
	served   resources
	may      authorizer
	authn    *authenticator
	reviews  reviews
	nodes    nodeRestriction
	docs     *documents
	streams  *streams
	reads    *places
	writes   *places
	bodies   *bodies
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
	may := firstOf{masters{}, &nodeAuthorizer{reg: cfg.Registry}, everyone{}}
	return assemble(cfg, cfg.Registry, may)
}

// assemble is newGateway with the registry that the handlers ask and the authorizer.
func assemble(cfg Config, reg objects, may authorizer) (*gateway, error) {
	cfg = cfg.withDefaults()
	g := &gateway{
		cfg: cfg, reg: reg, kinds: cfg.Registry.Kinds(), served: served{cfg.Registry.Kinds()}, may: may, reviews: reviews{may: may},
		nodes: nodeRestriction{reg: reg},
		reads: newPlaces(cfg.MaxReads), writes: newPlaces(cfg.MaxWrites), bodies: newBodies(cfg.MaxWrites),
	}
	tokens, err := newTokens(cfg.Issuer, cfg.ServiceAccountKey, cfg.ServiceAccountKeys)
	if err != nil {
		return nil, err
	}
	g.authn = &authenticator{reg: reg, may: may, tokens: tokens, clientCAs: cfg.ClientCAs, advertised: g.advertised, log: cfg.Log}
	g.docs = newDocuments(g.kinds, virtualKinds, servedSubresource, g.advertised, cfg.Version)
	g.streams = newStreams(streamsConfig{
		reg: reg, client: cfg.KubeletClient, cas: cfg.KubeletCAs, services: cfg.ServiceCIDR,
		own: g.advertised, log: cfg.Log,
	})
	return g, nil
}

// ServeHTTP is the chain that every request goes through.
func (g *gateway) ServeHTTP(rw http.ResponseWriter, req *http.Request) {
	w := &recorder{ResponseWriter: rw, start: time.Now()}
	r := &request{Request: req, query: req.URL.Query()}
	r.target = parseTarget(req, r.query, g.served)
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
		sendError(g.cfg.Log, w, r, err)
	}
}

// serve finds out who asks, whether they may, takes the body and a place, and does it.
func (g *gateway) serve(w http.ResponseWriter, r *request) error {
	if err := checkPath(r.URL); err != nil {
		return err
	}
	if err := g.authn.authenticate(r); err != nil {
		return err
	}
	if err := require(r.Context(), g.may, attributesOf(r)); err != nil {
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
		longRunning.WithLabelValues(labelsOf(r)...).Inc()
		return func() {
			longRunning.WithLabelValues(labelsOf(r)...).Dec()
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
		sendError(g.cfg.Log, w, r, fmt.Errorf("this request caused apiserver to panic. Look in the logs for details"))
	}
}
