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
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"gantry/agents/gateway/aggregate"
	"gantry/agents/gateway/authenticate"
	"gantry/agents/gateway/authorize"
	"gantry/agents/gateway/authorize/rbac"
	"gantry/agents/gateway/discovery"
	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/inflight"
	"gantry/agents/gateway/receive"
	"gantry/agents/gateway/request"
	"gantry/agents/gateway/resourcemetrics"
	"gantry/agents/gateway/stream"
	"gantry/registry"
	"gantry/registry/admit"
	"gantry/schema"
)

// gateway is the handlers and what they share.
type gateway struct {
	cfg             Config
	reg             objects
	resources       *resources
	actions         []action
	authz           authorize.Authorizer
	admissionAuthz  authorizer.Authorizer // authz, as rules of admission ask it
	roles           *rbac.Authorizer      // is one of authz
	authn           *authenticate.Authenticator
	reviews         authorize.Reviews
	nodes           authorize.NodeRestriction
	streams         *stream.Handlers
	extensions      *aggregate.Aggregator
	resourceMetrics *resourcemetrics.Handlers
	reads           *inflight.Limit
	writes          *inflight.Limit
	bodies          *receive.Limits
	watchers        atomic.Int64 // watches open
}

// objects is what the handlers ask of the registry: nothing that is not in a request's Info, and so permitted.
type objects interface {
	registry.API
	List(ctx context.Context, k *schema.Kind, namespace string, o registry.ListOptions) (registry.List, error)
	Watch(ctx context.Context, k *schema.Kind, namespace string, o registry.WatchOptions) (*registry.Watcher, error)
	Patch(ctx context.Context, k *schema.Kind, namespace, name string, change func(current *registry.Item) (schema.Object, error), o registry.WriteOptions) (*registry.Item, error)
	Apply(ctx context.Context, k *schema.Kind, namespace, name string, a registry.Application, o registry.WriteOptions) (it *registry.Item, created bool, err error)
	DeleteCollection(ctx context.Context, k *schema.Kind, namespace string, o registry.DeleteOptions, l registry.ListOptions) (registry.List, error)
	Bind(ctx context.Context, namespace, name string, binding *corev1.Binding, o registry.WriteOptions) (*registry.Item, error)
	Admit(ctx context.Context, op admit.Operation, k *schema.Kind, namespace, name string, body runtime.Object, check func() error, o registry.WriteOptions) error
}

// newGateway builds the handlers; it starts nothing.
func newGateway(cfg Config) (*gateway, error) {
	cfg = cfg.withDefaults()
	roles := rbac.New(cfg.Registry, cfg.Log)
	return assemble(cfg, cfg.Registry, roles, authorize.New(cfg.Registry, roles))
}

// assemble is newGateway with a complete configuration, the registry that the handlers ask and the authorizers.
func assemble(cfg Config, reg objects, roles *rbac.Authorizer, authz authorize.Authorizer) (*gateway, error) {
	g := &gateway{
		cfg: cfg, reg: reg, authz: authz, admissionAuthz: authorize.ForAdmission(authz), roles: roles, reviews: authorize.Reviews{Authorizer: authz},
		nodes: authorize.NodeRestriction{Registry: reg, Off: cfg.NodesUnrestricted},
		reads: inflight.New(cfg.MaxReads), writes: inflight.New(cfg.MaxWrites), bodies: receive.NewLimits(cfg.MaxWrites),
	}
	tokens, err := authenticate.NewTokens(cfg.Issuer, cfg.ServiceAccountKey, cfg.ServiceAccountKeys)
	if err != nil {
		return nil, err
	}
	g.authn = &authenticate.Authenticator{Registry: reg, Authorizer: authz, Tokens: tokens, Anonymous: cfg.Anonymous, ClientCAs: cfg.ClientCAs, Advertised: g.advertised, Log: cfg.Log}
	g.streams = stream.New(stream.Config{
		Registry: reg, Client: cfg.KubeletClient, KubeletCAs: cfg.KubeletCAs, Services: cfg.ServiceCIDRs,
		Own: g.advertised, Log: cfg.Log,
	})
	g.extensions = aggregate.New(aggregate.Config{Registry: cfg.Registry, Certificate: cfg.FrontProxyClient, Log: cfg.Log})
	g.resourceMetrics = resourcemetrics.New(reg, g.streams, cfg.Log)
	g.actions = g.allActions()
	documents := &discovery.Cache{}
	g.resources = &resources{
		kinds: cfg.Registry.Kinds(), rows: g.rows, virtual: g.virtualResources(),
		docs: func(all []*request.Resource, extensions []discovery.Extension) *discovery.Documents {
			return discovery.New(all, documents, g.advertised, cfg.Version, extensions)
		},
		extensions: g.extensions.Now,
	}
	return g, nil
}

// ServeHTTP is the chain that every request goes through.
func (g *gateway) ServeHTTP(rw http.ResponseWriter, req *http.Request) {
	w := &responseWriter{ResponseWriter: rw, start: time.Now()}
	r := &request.Request{Request: req, Query: req.URL.Query(), Kinds: g.resources.now().set}
	r.Info = request.ParseInfo(req, r.Query, g.resources)
	h := w.Header()
	id := req.Header.Get("Audit-Id")
	if id == "" {
		id = string(uuid.NewUUID())
	}
	h.Set("Audit-Id", id)
	h.Set("Cache-Control", "no-cache, private")
	defer observe(w, r)
	defer g.recoverPanic(w, r)
	done, err := g.setDeadline(w, r)
	defer done()
	if err == nil {
		err = g.serve(w, r)
	}
	if errors.Is(err, registry.Replaced) && !w.wrote && (req.Method == http.MethodGet || req.Method == http.MethodHead) {
		r.Kinds = g.resources.now().set
		r.Info = request.ParseInfo(r.Request, r.Query, g.resources)
		err = g.serve(w, r)
	}
	if err != nil && !w.wrote {
		encode.Error(g.cfg.Log, w, r, err)
	}
}

// serve authenticates and authorizes a request, receives its body, counts it as in flight and runs its handler.
func (g *gateway) serve(w http.ResponseWriter, r *request.Request) error {
	if err := request.CheckPath(r.URL); err != nil {
		return err
	}
	if err := g.authn.Authenticate(r); err != nil {
		return err
	}
	if err := authorize.Require(r.Context(), g.authz, authorize.AttributesOf(r)); err != nil {
		return err
	}
	if err := r.CheckNames(); err != nil {
		return err
	}
	write := r.Method != http.MethodGet && r.Method != http.MethodHead
	if write {
		growStack()
	}
	if write || r.Sub.IsConnection() {
		r.Request = r.WithContext(registry.WithAuthorizer(registry.WithUser(r.Context(), &r.User), g.admissionAuthz))
	}
	handle, err := g.route(w, r)
	if err != nil {
		return err
	}
	body, err := g.bodies.Receive(w, r, g.cfg.RequestTimeout)
	defer body.Release()
	if err != nil {
		return err
	}
	if r.LongRunning() {
		return handle(w, r)
	}
	limit, kind := g.reads, "readOnly"
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		limit, kind = g.writes, "mutating"
	}
	if !limit.Acquire(r.User.Username) {
		return apierrors.NewTooManyRequests(encode.TooMany, 1)
	}
	defer limit.Release(r.User.Username)
	inFlight.WithLabelValues(kind).Inc()
	defer inFlight.WithLabelValues(kind).Dec()
	return handle(w, r)
}

// setDeadline gives a request its deadline, which done ends. A long-running one has none.
func (g *gateway) setDeadline(w *responseWriter, r *request.Request) (done func(), err error) {
	if r.LongRunning() {
		w.boundsWrites = r.ProtoMajor == 1
		longRunning.WithLabelValues(labelsOf(r)...).Inc()
		return func() {
			longRunning.WithLabelValues(labelsOf(r)...).Dec()
			endConnection(w, r)
		}, nil
	}
	limit := g.cfg.RequestTimeout
	if v := r.Query.Get("timeout"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil {
			return func() { endConnection(w, r) }, apierrors.NewBadRequest(fmt.Sprintf("invalid timeout specified in the request URL - %v", err))
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
// that no handler has read, and until the client has received the answer. The connection's next request has its own deadline. In
// HTTP/2 the stream ends.
func endConnection(w http.ResponseWriter, r *request.Request) {
	if r.ProtoMajor != 1 {
		return
	}
	conn, now := http.NewResponseController(w), time.Now()
	if _, all := r.Body.(*receive.Body); !all && r.ContentLength != 0 {
		_ = conn.SetReadDeadline(now.Add(timeoutAnswerTime))
	}
	_ = conn.SetWriteDeadline(now.Add(2 * timeoutAnswerTime)) // the answer may go after the wait for the body
}

// unblock ends a request whose deadline has passed and that waits for its client: a read of the body at once, a write of the
// answer after timeoutAnswerTime. Deadlines set ahead for every request would do the same, but in HTTP/2 each
// costs a message to the connection's goroutine. Not every ResponseWriter supports deadlines (httptest's does not): then only the
// context bounds.
func unblock(w http.ResponseWriter) {
	conn, now := http.NewResponseController(w), time.Now()
	_ = conn.SetReadDeadline(now)
	_ = conn.SetWriteDeadline(now.Add(timeoutAnswerTime))
}

// timeoutAnswerTime is what a request whose deadline has passed has to answer that.
const timeoutAnswerTime = 5 * time.Second

// recoverPanic answers a request whose handler has panicked.
func (g *gateway) recoverPanic(w *responseWriter, r *request.Request) {
	p := recover()
	if p == nil {
		return
	}
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(p) // net/http's own way to cut a connection
	}
	g.cfg.Log.Error("request panicked", "verb", r.Verb, "path", r.Path, "err", p, "stack", string(debug.Stack()))
	if !w.wrote {
		encode.Error(g.cfg.Log, w, r, fmt.Errorf("this request caused apiserver to panic. Look in the logs for details"))
	}
}
