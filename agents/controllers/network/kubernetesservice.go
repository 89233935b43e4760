package network

import (
	"context"
	"errors"
	"net/netip"
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

const (
	kubernetesServiceName = "kubernetes"
	kubernetesServiceKey  = metav1.NamespaceDefault + "/" + kubernetesServiceName
)

// NewKubernetesService keeps the Service kubernetes at the first address of the first of serviceCIDRs, of which it is the only one, as
// upstream's is; none: it does nothing.
func NewKubernetesService(serviceCIDRs []netip.Prefix) func(*controller.Env) controller.Reconciler {
	return func(e *controller.Env) controller.Reconciler {
		if len(serviceCIDRs) == 0 {
			return controller.Idle()
		}
		c := &kubernetesService{Env: e, clusterIP: serviceCIDRs[0].Masked().Addr().Next(), renewed: map[string]renewal{}}
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
