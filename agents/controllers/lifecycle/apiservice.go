package lifecycle

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	registrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/apiregistration"
)

// The label of API services that are registered automatically, and how long they are kept as they should be.
const (
	automanaged = "kube-aggregator.kubernetes.io/automanaged"
	onStart     = "onstart" // once in a term of leadership; an administrator may change them then
	always      = "true"
)

// registration keeps an API service for every version of a group that is served.
type registration struct {
	*controller.Env
	started time.Time
	synced  map[string]bool // those that have been reconciled; of the one worker

	mu     sync.Mutex // guards wanted, of which each map is read-only
	wanted map[string]*registrationv1.APIService
}

// NewAPIServiceRegistration keeps an API service for every version of a group that is served. Its keys are names: "v1.apps".
func NewAPIServiceRegistration(e *controller.Env) controller.Reconciler {
	r := &registration{Env: e, started: time.Now(), synced: map[string]bool{}, wanted: localServices(e.Registry.Kinds().Set())}
	return controller.Reconciler{
		Run: func(ctx context.Context) error {
			for name := range r.wanted {
				e.Enqueue(name, 0)
			}
			_ = e.Registry.Kinds().Follow(ctx, r.follow) // its only error is ctx's
			return nil
		},
		Reconcile: r.reconcile,
		Watches: []controller.Watch{{Kind: apiregistration.APIService, Keys: func(old, current schema.Object) {
			if current == nil {
				current = old
			}
			e.Enqueue(current.GetName(), 0)
		}}},
	}
}

// follow enqueues the API services that a change of the kinds changes.
func (r *registration) follow(now *schema.Set) {
	wanted := localServices(now)
	r.mu.Lock()
	was := r.wanted
	r.wanted = wanted
	r.mu.Unlock()
	for name, s := range wanted {
		if !reflect.DeepEqual(s, was[name]) {
			r.Enqueue(name, 0)
		}
	}
	for name := range was {
		if wanted[name] == nil {
			r.Enqueue(name, 0)
		}
	}
}

func (r *registration) reconcile(ctx context.Context, name string) (time.Duration, error) {
	r.mu.Lock()
	want := r.wanted[name]
	r.mu.Unlock()
	is, err := registry.For[*registrationv1.APIService](r.Registry).Cached(ctx, "", name)
	if errors.Is(err, registry.NotFound) {
		is, err = nil, nil
	}
	if err != nil {
		return 0, err
	}
	err = r.Execute(ctx, planRegistration(want, is, r.synced[name], r.started))
	if errors.Is(err, registry.Exists) || errors.Is(err, registry.NotFound) {
		err = nil // the change is a key of its own
	}
	r.synced[name] = r.synced[name] || err == nil
	return 0, err
}

// planRegistration brings an API service to what is wanted, which is nil for a version that is not served. Those without the label, and
// those that an administrator has changed or made after the start, or has given to a service (a metrics server's), are left alone.
func planRegistration(want, is *registrationv1.APIService, synced bool, started time.Time) []controller.Action {
	action := func(verb controller.Verb, s *registrationv1.APIService, reason string) []controller.Action {
		return []controller.Action{{Do: verb, Kind: apiregistration.APIService, Object: s, Reason: reason}}
	}
	switch {
	case want != nil && want.Labels[automanaged] == onStart && synced:
		return nil
	case is == nil && want == nil:
		return nil
	case is == nil:
		return action(controller.Create, want.DeepCopy(), "this version of the group is served")
	}
	switch is.Labels[automanaged] {
	case always:
	case onStart:
		if synced || is.CreationTimestamp.After(started) || want != nil && is.Spec.Service != nil {
			return nil
		}
	default:
		return nil
	}
	if want == nil {
		return action(controller.Delete, is, "this version of the group is not served")
	}
	if reflect.DeepEqual(is.Spec, want.Spec) {
		return nil
	}
	changed := is.DeepCopy()
	changed.Spec = want.Spec
	return action(controller.Update, changed, "it is not as this version of the group is served")
}

// localServices are the API services of all versions of groups that are served, by name.
func localServices(now *schema.Set) map[string]*registrationv1.APIService {
	all := maps.Clone(virtualServices)
	for _, k := range now.All {
		for _, v := range k.Served() {
			gv := v.GV()
			name := gv.Version + "." + gv.Group
			if p, builtIn := priorities[gv]; builtIn && !k.IsUnstructured() {
				all[name] = localService(gv, p, onStart)
			} else if k.IsUnstructured() && all[name] == nil {
				all[name] = localService(gv, customPriority, always)
			}
		}
	}
	return all
}

// virtualServices are those of kinds that a gateway answers without storing them.
var virtualServices = map[string]*registrationv1.APIService{
	"v1.authentication.k8s.io": localService(kschema.GroupVersion{Group: "authentication.k8s.io", Version: "v1"}, priority{17700, 15}, onStart),
	"v1.authorization.k8s.io":  localService(kschema.GroupVersion{Group: "authorization.k8s.io", Version: "v1"}, priority{17600, 15}, onStart),
}

func localService(gv kschema.GroupVersion, p priority, label string) *registrationv1.APIService {
	return &registrationv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: gv.Version + "." + gv.Group, Labels: map[string]string{automanaged: label}},
		Spec:       registrationv1.APIServiceSpec{Group: gv.Group, Version: gv.Version, GroupPriorityMinimum: p.group, VersionPriority: p.version},
	}
}

// priority orders groups, and versions of one group: higher ones are preferred.
type priority struct{ group, version int32 }

// customPriority is that of groups that custom kinds make.
var customPriority = priority{1000, 100}

// priorities are those of Kubernetes' own groups.
var priorities = map[kschema.GroupVersion]priority{
	{Version: "v1"}:                                        {18000, 1},
	{Group: "apps", Version: "v1"}:                         {17800, 15},
	{Group: "events.k8s.io", Version: "v1"}:                {17750, 15},
	{Group: "autoscaling", Version: "v2"}:                  {17500, 30},
	{Group: "autoscaling", Version: "v1"}:                  {17500, 15},
	{Group: "batch", Version: "v1"}:                        {17400, 15},
	{Group: "certificates.k8s.io", Version: "v1"}:          {17300, 15},
	{Group: "networking.k8s.io", Version: "v1"}:            {17200, 15},
	{Group: "policy", Version: "v1"}:                       {17100, 15},
	{Group: "rbac.authorization.k8s.io", Version: "v1"}:    {17000, 15},
	{Group: "storage.k8s.io", Version: "v1"}:               {16800, 15},
	{Group: "apiextensions.k8s.io", Version: "v1"}:         {16700, 15},
	{Group: "admissionregistration.k8s.io", Version: "v1"}: {16700, 15},
	{Group: "scheduling.k8s.io", Version: "v1"}:            {16600, 15},
	{Group: "coordination.k8s.io", Version: "v1"}:          {16500, 15},
	{Group: "node.k8s.io", Version: "v1"}:                  {16300, 15},
	{Group: "discovery.k8s.io", Version: "v1"}:             {16200, 15},
	{Group: "resource.k8s.io", Version: "v1"}:              {16200, 21},
	{Group: "flowcontrol.apiserver.k8s.io", Version: "v1"}: {16100, 21},
}
