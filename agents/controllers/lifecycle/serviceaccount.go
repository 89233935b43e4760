package lifecycle

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema/core"
)

const defaultAccount = "default"

// NewServiceAccount creates the service account default in every namespace. Its keys are names of namespaces.
func NewServiceAccount(e *controller.Env) controller.Reconciler {
	return controller.Reconciler{Watches: perNamespace(e, core.ServiceAccount, defaultAccount), Reconcile: func(ctx context.Context, ns string) (time.Duration, error) {
		_, err := registry.For[*corev1.ServiceAccount](e.Registry).Cached(ctx, ns, defaultAccount)
		if !errors.Is(err, registry.NotFound) {
			return 0, err
		}
		return 0, executeInNamespace(ctx, e, ns, []controller.Action{{Do: controller.Create, Kind: core.ServiceAccount,
			Object: &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: defaultAccount}},
			Reason: "every namespace has a service account of this name"}})
	}}
}
