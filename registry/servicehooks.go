package registry

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/registry/allocate"
	"gantry/registry/store"
	"gantry/schema"
)

// serviceHooks: a Service claims its cluster IPs and its node ports.
var serviceHooks = hooks{
	companions: claimsOf,
	complete: func(r *Registry, obj, old schema.Object) field.ErrorList {
		was, _ := old.(*corev1.Service)
		return allocate.FillFamilies(obj.(*corev1.Service), was, allocate.Families(r.cfg.ServiceCIDRs))
	},
}

// serviceClaims are the claims of one write of a Service.
type serviceClaims struct {
	*allocate.Claims
	u *guardedUpdate
}

func claimsOf(ctx context.Context, r *Registry, u *guardedUpdate) (companions, error) {
	svc, ok := u.obj.(*corev1.Service)
	if !ok {
		return nil, nil
	}
	var old *corev1.ServiceSpec
	if u.old.item != nil {
		old = &u.old.item.Object().(*corev1.Service).Spec
	}
	if u.remove {
		svc = nil
	}
	c, err := r.allocator().Claims(ctx, types.NamespacedName{Namespace: u.namespace, Name: u.name}, old, svc)
	if err != nil {
		return nil, err
	}
	return serviceClaims{c, u}, nil
}

func (c serviceClaims) fill(ctx context.Context) error {
	err := c.Fill(ctx)
	var refusal *allocate.Refusal
	if errors.As(err, &refusal) {
		return invalid(c.u.kind, c.u.name, field.ErrorList{refusal.Err})
	}
	return err
}

func (c serviceClaims) add(t *store.Txn, _ []byte) error { return c.Add(t) }

func (c serviceClaims) onConflict(current map[string]*store.KV) { c.OnConflict(current) }

// allocator returns the access to Services that allocation needs.
func (r *Registry) allocator() allocate.Services {
	k := r.kinds.Set().Resource("", "services")
	return allocate.Services{
		Store: r.store, CIDRs: r.cfg.ServiceCIDRs, NodePorts: r.cfg.NodePorts,
		Get: func(ctx context.Context, name types.NamespacedName) (*corev1.Service, int64, error) {
			if k == nil {
				return nil, 0, nil
			}
			st, err := r.read(ctx, target{k, name.Namespace, name.Name, Key(k, name.Namespace, name.Name)})
			if err != nil || st.item == nil {
				return nil, st.rev, err
			}
			return st.item.Object().(*corev1.Service), st.rev, nil
		},
		List: func(ctx context.Context, f func(svc *corev1.Service, revision int64) error) error {
			list, err := r.List(ctx, k, "", ListOptions{})
			for _, it := range list.Items {
				if err := f(it.Object().(*corev1.Service), it.Revision); err != nil {
					return err
				}
			}
			return err
		},
	}
}

// RepairClaims keeps the claims on cluster IPs and node ports in step with Services that were written past the registry, until ctx is done. A
// leader runs it; see allocate.Services.Repair.
func (r *Registry) RepairClaims(ctx context.Context) error {
	if r.kinds.Set().Resource("", "services") == nil {
		<-ctx.Done()
		return nil
	}
	return r.allocator().Repair(ctx, r.cfg.Log.With("agent", r.cfg.Agent, "controller", "claims"))
}
