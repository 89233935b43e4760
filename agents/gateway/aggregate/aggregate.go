// Package aggregate passes requests on to extension servers: /apis/<group>/<version>/... of an API service that names a service goes to the
// service's ready endpoints, which see the gateway's front-proxy certificate and the user in headers. As the gateway has authorized the request
// before, a user needs its roles here, too.
//
// A cluster without such API services pays for one look at a pointer a request.
package aggregate

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	registrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"gantry/agents/gateway/discovery"
	"gantry/agents/gateway/request"
	"gantry/agents/internal/extensionclient"
	"gantry/agents/internal/serviceendpoints"
	"gantry/registry"
	"gantry/schema/apiregistration"
	"gantry/schema/core"
	discoverykinds "gantry/schema/discovery"
	"gantry/schema/openapi"
)

// Config is what an Aggregator needs.
type Config struct {
	Registry *registry.Registry
	// Certificate is the front proxy's, shown to extension servers.
	Certificate tls.Certificate
	Log         *slog.Logger
}

// Aggregator knows the extension servers.
type Aggregator struct {
	cfg     Config
	client  *extensionclient.Client
	current atomic.Pointer[Services]
	changed chan struct{} // has an element after a change of an API service

	mu       sync.Mutex // guards services and toAsk
	services map[string]Service
	toAsk    map[string]bool // the names of the API services that have changed since their servers were last asked
}

// Service is an API service that names a service, with the resources that it was last found to serve.
type Service struct {
	*registrationv1.APIService
	Resources []metav1.APIResource
	Found     bool // Resources are as its server answered last
	OpenAPI   openapi.Extension
	tag       string // the ETag of the document that OpenAPI.V2 is of
}

// Services are the API services that name a service. They are read-only; a nil one is empty.
type Services struct {
	byVersion map[kschema.GroupVersion]*Service
	proxy     func(*Service) request.Handler
}

// New returns an Aggregator that knows none before Run; it starts nothing.
func New(cfg Config) *Aggregator {
	return &Aggregator{
		cfg: cfg, client: &extensionclient.Client{Certificate: cfg.Certificate}, changed: make(chan struct{}, 1), services: map[string]Service{},
		toAsk: map[string]bool{},
	}
}

// Run follows the API services, and what their servers serve, until ctx is done.
func (a *Aggregator) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		_ = a.cfg.Registry.Follow(ctx, apiregistration.APIService, a.follow) // its only error is ctx's
		return nil
	})
	group.Go(func() error {
		a.discover(ctx)
		return nil
	})
	return group.Wait()
}

// Now are the extension servers there are now.
func (a *Aggregator) Now() *Services { return a.current.Load() }

// Of is the API service of a version of a group; nil where the gateway serves it itself, or nobody does.
func (s *Services) Of(group, version string) *Service {
	if s == nil {
		return nil
	}
	return s.byVersion[kschema.GroupVersion{Group: group, Version: version}]
}

// All are all of them, by their names.
func (s *Services) All() []*Service {
	if s == nil {
		return nil
	}
	return slices.SortedFunc(maps.Values(s.byVersion), func(a, b *Service) int { return cmp.Compare(a.Name, b.Name) })
}

// Extensions are what discovery says of all of them.
func (s *Services) Extensions() (out []discovery.Extension) {
	for _, one := range s.All() {
		out = append(out, discovery.Extension{
			GroupVersion:  kschema.GroupVersion{Group: one.Spec.Group, Version: one.Spec.Version},
			GroupPriority: one.Spec.GroupPriorityMinimum, VersionPriority: one.Spec.VersionPriority,
			Resources: one.Resources, Stale: !one.Found, OpenAPI: one.OpenAPI, Proxy: s.proxy(one),
		})
	}
	return out
}

// follow applies the change of an API service.
func (a *Aggregator) follow(c registry.Change) {
	if c.New == nil {
		a.set(c.Old.Name, nil)
		return
	}
	s, ok := c.New.Object().(*registrationv1.APIService)
	if !ok || s.Spec.Service == nil || s.Spec.Group == "" || s.Name != s.Spec.Version+"."+s.Spec.Group {
		s = nil
	}
	a.set(c.New.Name, s)
}

func (a *Aggregator) set(name string, s *registrationv1.APIService) {
	a.mu.Lock()
	defer a.mu.Unlock()
	was, had := a.services[name]
	switch {
	case s != nil:
		a.services[name] = Service{s, was.Resources, was.Found, was.OpenAPI, was.tag}
	case !had:
		return
	default:
		delete(a.services, name)
	}
	a.publish()
	a.toAsk[name] = true
	a.signal()
}

// signal makes discover look at toAsk.
func (a *Aggregator) signal() {
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

// publish makes what is known what Now returns. The caller holds mu.
func (a *Aggregator) publish() {
	if len(a.services) == 0 {
		a.current.Store(nil)
		return
	}
	now := &Services{byVersion: map[kschema.GroupVersion]*Service{}, proxy: a.Proxy}
	for _, s := range a.services {
		now.byVersion[kschema.GroupVersion{Group: s.Spec.Group, Version: s.Spec.Version}] = &s
	}
	a.current.Store(now)
}

// Available tells whether requests are passed on.
func (s *Service) Available() bool {
	return slices.ContainsFunc(s.Status.Conditions, func(c registrationv1.APIServiceCondition) bool {
		return c.Type == registrationv1.Available && c.Status == registrationv1.ConditionTrue
	})
}

// endpoints are the addresses of the service's ready endpoints.
func (a *Aggregator) endpoints(ctx context.Context, ref *registrationv1.ServiceReference) ([]string, error) {
	item, err := a.cfg.Registry.Get(ctx, core.Service, ref.Namespace, ref.Name, "0")
	if err != nil {
		return nil, fmt.Errorf("getting service %s/%s: %w", ref.Namespace, ref.Name, err)
	}
	list, err := a.cfg.Registry.List(ctx, discoverykinds.EndpointSlice, ref.Namespace, registry.ListOptions{
		ResourceVersion: "0", Labels: discoveryv1.LabelServiceName + "=" + ref.Name,
	})
	if err != nil {
		return nil, fmt.Errorf("listing endpoint slices of service %s/%s: %w", ref.Namespace, ref.Name, err)
	}
	var all []*discoveryv1.EndpointSlice
	for _, it := range list.Items {
		if slice, ok := it.Object().(*discoveryv1.EndpointSlice); ok {
			all = append(all, slice)
		}
	}
	service, ok := item.Object().(*corev1.Service)
	if !ok {
		return nil, fmt.Errorf("service %s/%s is another kind of object", ref.Namespace, ref.Name)
	}
	return serviceendpoints.Ready(service, ref.Name, extensionclient.Port(ref), all)
}
