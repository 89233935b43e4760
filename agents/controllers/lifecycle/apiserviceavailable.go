package lifecycle

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	registrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"gantry/agents/controllers/controller"
	"gantry/agents/internal/extensionclient"
	"gantry/agents/internal/serviceendpoints"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/apiregistration"
	"gantry/schema/core"
	"gantry/schema/discovery"
)

// serviceUsers are the API services that name a service, by name, with the service's key.
type serviceUsers struct {
	mu  sync.Mutex
	all map[string]string
}

func (u *serviceUsers) set(name string, s *registrationv1.APIService) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if s == nil || s.Spec.Service == nil {
		delete(u.all, name)
		return
	}
	u.all[name] = s.Spec.Service.Namespace + "/" + s.Spec.Service.Name
}

func (u *serviceUsers) of(service string, f func(name string)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for name, key := range u.all {
		if key == service {
			f(name)
		}
	}
}

// How soon the server of an API service is asked again, after it has answered and after it has not, and how long it may take.
const (
	recheck      = 30 * time.Second
	recheckFault = 5 * time.Second
	checkTimeout = 5 * time.Second
)

// NewAPIServiceAvailability tells in the status of API services whether they are available. frontProxy is the certificate that their servers
// are shown.
func NewAPIServiceAvailability(frontProxy tls.Certificate) func(*controller.Env) controller.Reconciler {
	return func(e *controller.Env) controller.Reconciler {
		return watchAvailability(e, &extensionclient.Client{Certificate: frontProxy})
	}
}

func watchAvailability(e *controller.Env, client *extensionclient.Client) controller.Reconciler {
	users := &serviceUsers{all: map[string]string{}}
	enqueue := func(service string) { users.of(service, func(name string) { e.Enqueue(name, 0) }) }
	return controller.Reconciler{
		Reconcile: func(ctx context.Context, name string) (time.Duration, error) {
			return reconcileAvailability(ctx, e, client, name)
		},
		Watches: []controller.Watch{
			{Kind: apiregistration.APIService, Keys: func(old, current schema.Object) {
				if current == nil {
					users.set(old.GetName(), nil)
					return
				}
				users.set(current.GetName(), current.(*registrationv1.APIService))
				e.Enqueue(current.GetName(), 0)
			}},
			{Kind: core.Service, Keys: func(old, current schema.Object) {
				if current == nil {
					current = old
				}
				enqueue(controller.KeyOf(current))
			}},
			{Kind: discovery.EndpointSlice, Keys: func(old, current schema.Object) {
				for _, slice := range []schema.Object{old, current} {
					if slice != nil {
						enqueue(slice.GetNamespace() + "/" + slice.GetLabels()[discoveryv1.LabelServiceName])
					}
				}
			}},
		},
	}
}

func reconcileAvailability(ctx context.Context, e *controller.Env, client *extensionclient.Client, name string) (again time.Duration, err error) {
	s, err := registry.For[*registrationv1.APIService](e.Registry).Cached(ctx, "", name)
	if errors.Is(err, registry.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var service *corev1.Service
	var endpoints []*discoveryv1.EndpointSlice
	if ref := s.Spec.Service; ref != nil {
		service, err = registry.For[*corev1.Service](e.Registry).Cached(ctx, ref.Namespace, ref.Name)
		if errors.Is(err, registry.NotFound) {
			service, err = nil, nil
		}
		if err != nil {
			return 0, fmt.Errorf("getting the service of API service %s: %w", name, err)
		}
		endpoints, err = registry.For[*discoveryv1.EndpointSlice](e.Registry).CachedList(ctx, ref.Namespace, discoveryv1.LabelServiceName+"="+ref.Name)
		if err != nil {
			return 0, fmt.Errorf("listing the endpoint slices of API service %s: %w", name, err)
		}
	}
	is := availabilityOf(s, service, endpoints, func() error { return checkDiscovery(ctx, client, s, service, endpoints) })
	switch {
	case s.Spec.Service == nil:
	case is.Status == registrationv1.ConditionTrue:
		again = recheck
	case is.Reason == "FailedDiscoveryCheck":
		again = recheckFault
	}
	return again, e.Execute(ctx, planAvailability(s, is, metav1.Now()))
}

// checkDiscovery asks one of a service's endpoints for the resources of the API service.
func checkDiscovery(ctx context.Context, client *extensionclient.Client, s *registrationv1.APIService, service *corev1.Service, endpoints []*discoveryv1.EndpointSlice) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	all, err := serviceendpoints.Ready(service, s.Spec.Service.Name, extensionclient.Port(s.Spec.Service), endpoints)
	if err != nil {
		return err
	}
	path := "/apis/" + s.Spec.Group + "/" + s.Spec.Version
	if s.Spec.Group == "" {
		path = "/api/" + s.Spec.Version
	}
	_, err = client.Get(ctx, &s.Spec, all[rand.N(len(all))], path)
	return err
}

// planAvailability sets the condition Available. Its time changes with its status.
func planAvailability(s *registrationv1.APIService, want registrationv1.APIServiceCondition, now metav1.Time) []controller.Action {
	want.Type, want.LastTransitionTime = registrationv1.Available, now
	changed := s.DeepCopy()
	i := slices.IndexFunc(s.Status.Conditions, func(c registrationv1.APIServiceCondition) bool { return c.Type == want.Type })
	if i < 0 {
		changed.Status.Conditions = append(changed.Status.Conditions, want)
	} else {
		is := s.Status.Conditions[i]
		if is.Status == want.Status {
			want.LastTransitionTime = is.LastTransitionTime
		}
		if is == want {
			return nil
		}
		changed.Status.Conditions[i] = want
	}
	return []controller.Action{{Do: controller.UpdateStatus, Kind: apiregistration.APIService, Object: changed, Reason: want.Reason}}
}

// availabilityOf is the condition of an API service: those without a service are served by the gateway itself. service is nil where it does
// not exist; check asks an endpoint, where there is one.
func availabilityOf(s *registrationv1.APIService, service *corev1.Service, endpoints []*discoveryv1.EndpointSlice, check func() error) registrationv1.APIServiceCondition {
	ref := s.Spec.Service
	if ref == nil {
		return registrationv1.APIServiceCondition{Status: registrationv1.ConditionTrue, Reason: "Local", Message: "Local APIServices are always available"}
	}
	unavailable := func(reason, format string, args ...any) registrationv1.APIServiceCondition {
		return registrationv1.APIServiceCondition{Status: registrationv1.ConditionFalse, Reason: reason, Message: fmt.Sprintf(format, args...)}
	}
	if service == nil {
		return unavailable("ServiceNotFound", "service/%s in %q is not present", ref.Name, ref.Namespace)
	}
	if service.Spec.Type == corev1.ServiceTypeClusterIP {
		number := extensionclient.Port(ref)
		i := slices.IndexFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return p.Port == number })
		if i < 0 {
			return unavailable("ServicePortError", "service/%s in %q is not listening on port %d", ref.Name, ref.Namespace, number)
		}
		if len(endpoints) == 0 {
			return unavailable("EndpointsNotFound", "cannot find endpointslices for service/%s in %q", ref.Name, ref.Namespace)
		}
		if port := service.Spec.Ports[i].Name; !slices.ContainsFunc(endpoints, func(e *discoveryv1.EndpointSlice) bool { return isReady(e, port) }) {
			return unavailable("MissingEndpoints", "endpointslices for service/%s in %q have no addresses with port name %q", ref.Name, ref.Namespace, port)
		}
	}
	if err := check(); err != nil {
		return unavailable("FailedDiscoveryCheck", "%v", err)
	}
	return registrationv1.APIServiceCondition{Status: registrationv1.ConditionTrue, Reason: "Passed", Message: "all checks passed"}
}

// isReady tells whether a slice has a ready endpoint and the port.
func isReady(s *discoveryv1.EndpointSlice, port string) bool {
	return slices.ContainsFunc(s.Endpoints, func(e discoveryv1.Endpoint) bool { return e.Conditions.Ready == nil || *e.Conditions.Ready }) &&
		slices.ContainsFunc(s.Ports, func(p discoveryv1.EndpointPort) bool { return p.Name != nil && *p.Name == port && p.Port != nil })
}
