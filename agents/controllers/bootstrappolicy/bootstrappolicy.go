// Package bootstrappolicy is the controller that creates the roles and bindings that every cluster has, and puts them right at every start:
// rules, subjects, labels and annotations that are missing are added, and a binding of another role is made anew. What an administrator
// added stays. An object with the annotation rbac.authorization.kubernetes.io/autoupdate: "false" is left alone:
// https://kubernetes.io/docs/reference/access-authn-authz/rbac/#auto-reconciliation.
package bootstrappolicy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/rbac"
	"gantry/schema/rbac/bootstrappolicy"
)

// wanted is an object of the policy.
type wanted struct {
	kind   *schema.Kind
	object schema.Object // read-only
}

// policy is all of it, by "<plural>/<namespace>/<name>".
func policy() map[string]wanted {
	all := map[string]wanted{}
	add := func(k *schema.Kind, obj schema.Object) {
		all[k.Plural+"/"+obj.GetNamespace()+"/"+obj.GetName()] = wanted{k, obj}
	}
	for _, r := range bootstrappolicy.ClusterRoles() {
		add(rbac.ClusterRole, r)
	}
	for _, b := range bootstrappolicy.ClusterRoleBindings() {
		add(rbac.ClusterRoleBinding, b)
	}
	for _, r := range bootstrappolicy.Roles() {
		add(rbac.Role, r)
	}
	for _, b := range bootstrappolicy.RoleBindings() {
		add(rbac.RoleBinding, b)
	}
	return all
}

// New makes the controller. Its keys are those of policy: each is reconciled once, those of a namespace when the namespace is there.
func New(e *controller.Env) controller.Reconciler {
	all := policy()
	return controller.Reconciler{
		Run: e.EnqueueOnce(slices.Sorted(maps.Keys(all))...),
		Watches: []controller.Watch{{Kind: core.Namespace, Keys: func(old, current schema.Object) {
			if old != nil {
				return
			}
			for key, w := range all {
				if w.object.GetNamespace() == current.GetName() {
					e.Enqueue(key, 0)
				}
			}
		}}},
		Reconcile: func(ctx context.Context, key string) (time.Duration, error) {
			w, ok := all[key]
			if !ok {
				return 0, nil
			}
			return 0, w.reconcile(ctx, e)
		},
	}
}

func (w wanted) reconcile(ctx context.Context, e *controller.Env) error {
	namespace, name := w.object.GetNamespace(), w.object.GetName()
	if namespace != "" {
		if _, err := registry.For[*corev1.Namespace](e.Registry).Cached(ctx, "", namespace); errors.Is(err, registry.NotFound) {
			return nil // its creation enqueues the key
		}
	}
	it, err := e.Registry.Get(ctx, w.kind, namespace, name, "0")
	var existing schema.Object
	switch {
	case err == nil:
		existing = it.Object()
	case !errors.Is(err, registry.NotFound):
		return fmt.Errorf("getting %s %s: %w", w.kind.Kind, name, err)
	}
	err = e.Execute(ctx, plan(w, existing))
	if errors.Is(err, registry.Exists) {
		return nil // another process of the cluster created it meanwhile
	}
	return err
}
