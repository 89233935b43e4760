package bootstrap

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/controllers/controller"
	"gantry/agents/internal/bootstraptoken"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
)

// tokenCleaner has the names of Secrets in bootstraptoken.Namespace as keys.
type tokenCleaner struct{ *controller.Env }

// NewTokenCleaner deletes the Secrets of bootstrap tokens that have expired, or whose expiration cannot be read.
func NewTokenCleaner(e *controller.Env) controller.Reconciler {
	c := tokenCleaner{e}
	return controller.Reconciler{Reconcile: c.reconcile, Watches: []controller.Watch{{Kind: core.Secret, Keys: func(_, current schema.Object) {
		if s, ok := current.(*corev1.Secret); ok && bootstraptoken.Is(s) {
			c.Enqueue(s.Name, 0)
		}
	}}}}
}

func (c tokenCleaner) reconcile(ctx context.Context, name string) (time.Duration, error) {
	s, err := registry.For[*corev1.Secret](c.Registry).Cached(ctx, bootstraptoken.Namespace, name)
	if errors.Is(err, registry.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	plan, after := planCleanToken(s, time.Now())
	return after, c.Execute(ctx, plan)
}

// planCleanToken deletes a Secret whose token has expired. after is when it will have; 0: never.
func planCleanToken(s *corev1.Secret, now time.Time) (plan []controller.Action, after time.Duration) {
	if !bootstraptoken.Is(s) || s.DeletionTimestamp != nil {
		return nil, 0
	}
	left, expired := bootstraptoken.Expiration(s, now)
	if !expired {
		return nil, left
	}
	return []controller.Action{{Do: controller.Delete, Kind: core.Secret, Object: s, Reason: "its bootstrap token has expired",
		// One that was prolonged meanwhile is kept.
		DeleteOptions: registry.DeleteOptions{ResourceVersion: s.ResourceVersion}}}, 0
}
