package network

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controller"
	"gantry/agents/internal/identitylease"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/coordination"
	"gantry/schema/core"
	"gantry/schema/discovery"
)

// kubernetesService makes the Service kubernetes, its Endpoints and its slices from the identity leases of the gateways, and deletes the
// leases of gateways that do not run any more. How old a renewal is, is measured by this process's own clock from the moment it was seen.
// When no gateway's lease is left the addresses stay as they are, as kube-apiserver's lease reconciler refuses to erase all: a client that
// waits through a restart is better off than one that finds no address. It has one key, that of the Service.
type kubernetesService struct {
	*controller.Env
	// clusterIP is the address of the Service.
	clusterIP     netip.Addr
	interruptions controller.Interruptions

	mu      sync.Mutex         // guards renewed
	renewed map[string]renewal // by the name of the lease
}

// renewal is the last renewal of a lease that was seen.
type renewal struct {
	renewTime time.Time // as the gateway wrote it: only a change of it counts
	seen      time.Time
}

const (
	kubernetesServiceName = "kubernetes"
	kubernetesServiceKey  = metav1.NamespaceDefault + "/" + kubernetesServiceName
)

// NewKubernetesService keeps the Service kubernetes at the first address of serviceCIDR; not valid: it does nothing.
func NewKubernetesService(serviceCIDR netip.Prefix) func(*controller.Env) controller.Reconciler {
	return func(e *controller.Env) controller.Reconciler {
		if !serviceCIDR.IsValid() {
			return controller.Idle()
		}
		c := &kubernetesService{Env: e, clusterIP: serviceCIDR.Masked().Addr().Next(), renewed: map[string]renewal{}}
		return controller.Reconciler{Reconcile: c.reconcile, Run: c.run, Watches: []controller.Watch{
			{Kind: core.Namespace, Keys: c.onNamespace},
			{Kind: coordination.Lease, Keys: c.onLease},
			{Kind: core.Service, Keys: c.onObject},
			{Kind: core.Endpoints, Keys: c.onObject},
			{Kind: discovery.EndpointSlice, Keys: c.onSlice},
		}}
	}
}

// maxCheckGap is how long two checks that the store answers may be apart: more counts as an interruption of this process.
const maxCheckGap = 2 * identitylease.RenewInterval

func (c *kubernetesService) run(ctx context.Context) error {
	c.Enqueue(kubernetesServiceKey, 0)
	return c.interruptions.Watch(ctx, c.Log, maxCheckGap, func(ctx context.Context) error {
		_, err := registry.For[*corev1.Namespace](c.Registry).Get(ctx, "", identitylease.Namespace)
		return ignoreNotFound(err)
	})
}

func (c *kubernetesService) onNamespace(old, current schema.Object) {
	if old == nil && current.GetName() == metav1.NamespaceDefault {
		c.Enqueue(kubernetesServiceKey, 0)
	}
}

// onLease notes a renewal. It enqueues the Service for a lease that is new, has changed otherwise or was deleted.
func (c *kubernetesService) onLease(old, current schema.Object) {
	if current == nil {
		if identitylease.Is(old.(*coordinationv1.Lease)) {
			c.Enqueue(kubernetesServiceKey, 0)
		}
		return
	}
	if l := current.(*coordinationv1.Lease); identitylease.Is(l) && c.noteRenewal(l, time.Now()) {
		c.Enqueue(kubernetesServiceKey, 0)
	}
}

// noteRenewal notes when a lease was renewed; it tells that the lease was not known, or too old.
func (c *kubernetesService) noteRenewal(l *coordinationv1.Lease, now time.Time) (appeared bool) {
	if _, ok := identitylease.Address(l); !ok {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r, known := c.renewed[l.Name]
	if known && r.renewTime.Equal(l.Spec.RenewTime.Time) {
		return false
	}
	c.renewed[l.Name] = renewal{l.Spec.RenewTime.Time, now}
	return !known || now.Sub(r.seen) > identitylease.Duration
}

func (c *kubernetesService) onObject(old, current schema.Object) {
	if current == nil {
		current = old
	}
	if controller.KeyOf(current) == kubernetesServiceKey {
		c.Enqueue(kubernetesServiceKey, 0)
	}
}

func (c *kubernetesService) onSlice(old, current schema.Object) {
	for _, obj := range []schema.Object{old, current} {
		if obj != nil && obj.GetNamespace() == metav1.NamespaceDefault && obj.GetLabels()[discoveryv1.LabelServiceName] == kubernetesServiceName {
			c.Enqueue(kubernetesServiceKey, 0)
		}
	}
}

func (c *kubernetesService) reconcile(ctx context.Context, _ string) (time.Duration, error) {
	gateways, expired, after, err := c.leases(ctx)
	if err != nil {
		return 0, err
	}
	have, err := c.observe(ctx)
	if err != nil {
		return 0, err
	}
	plan := planKubernetesService(c.clusterIP, gateways, have)
	for _, l := range expired {
		plan = append(plan, controller.Action{Do: controller.Delete, Kind: coordination.Lease, Object: l, Reason: "its gateway has not renewed it",
			DeleteOptions: registry.DeleteOptions{ResourceVersion: l.ResourceVersion}})
	}
	return after, c.Execute(ctx, plan)
}

// observe reads the Service and what leads from it to gateways; nil where namespace default does not exist.
func (c *kubernetesService) observe(ctx context.Context) (*apiObjects, error) {
	if _, err := registry.For[*corev1.Namespace](c.Registry).Cached(ctx, "", metav1.NamespaceDefault); err != nil {
		return nil, ignoreNotFound(err)
	}
	have := &apiObjects{}
	var err error
	if have.service, err = registry.For[*corev1.Service](c.Registry).Cached(ctx, metav1.NamespaceDefault, kubernetesServiceName); ignoreNotFound(err) != nil {
		return nil, err
	}
	if have.endpoints, err = registry.For[*corev1.Endpoints](c.Registry).Cached(ctx, metav1.NamespaceDefault, kubernetesServiceName); ignoreNotFound(err) != nil {
		return nil, err
	}
	have.slices, err = registry.For[*discoveryv1.EndpointSlice](c.Registry).CachedList(ctx, metav1.NamespaceDefault, discoveryv1.LabelServiceName+"="+kubernetesServiceName)
	return have, err
}

func ignoreNotFound(err error) error {
	if errors.Is(err, registry.NotFound) {
		return nil
	}
	return err
}

// leases returns the addresses of the gateways that renew their leases, in order, and the leases of others. after is when the next lease
// may have expired. Only a consistent read counts as evidence that a lease was not renewed.
func (c *kubernetesService) leases(ctx context.Context) (gateways []netip.AddrPort, expired []*coordinationv1.Lease, after time.Duration, err error) {
	all := registry.For[*coordinationv1.Lease](c.Registry)
	found, err := all.CachedList(ctx, identitylease.Namespace, identitylease.Selector)
	if err != nil {
		return nil, nil, 0, err
	}
	names := map[string]bool{}
	for _, l := range found {
		address, ok := identitylease.Address(l)
		if !ok {
			continue
		}
		names[l.Name] = true
		remaining := c.remaining(l)
		if remaining <= 0 {
			if l, err = all.Get(ctx, l.Namespace, l.Name); err != nil {
				if errors.Is(err, registry.NotFound) {
					continue
				}
				c.interruptions.Note(time.Now())
				return nil, nil, 0, err
			}
			remaining = c.remaining(l)
		}
		if remaining <= 0 {
			expired = append(expired, l)
			continue
		}
		gateways = append(gateways, address)
		if after == 0 || remaining < after {
			after = remaining
		}
	}
	c.forgetOthers(names)
	slices.SortFunc(gateways, netip.AddrPort.Compare)
	return gateways, expired, after, nil
}

// remaining is how long a lease is still valid; not above 0: it has expired.
func (c *kubernetesService) remaining(l *coordinationv1.Lease) time.Duration {
	c.noteRenewal(l, time.Now())
	c.mu.Lock()
	defer c.mu.Unlock()
	return identitylease.Duration - c.interruptions.Age(c.renewed[l.Name].seen)
}

// forgetOthers forgets the renewals of leases that do not exist any more.
func (c *kubernetesService) forgetOthers(names map[string]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range c.renewed {
		if !names[name] {
			delete(c.renewed, name)
		}
	}
}
