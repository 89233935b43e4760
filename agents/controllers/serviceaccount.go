package controllers

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/schema/core"
)

const defaultAccount = "default"

func setupServiceAccount(e *env) wiring {
	return wiring{watches: perNamespace(e, core.ServiceAccount, defaultAccount), reconcile: func(ctx context.Context, ns string) (time.Duration, error) {
		_, err := registry.For[*corev1.ServiceAccount](e.r).Cached(ctx, ns, defaultAccount)
		if !errors.Is(err, registry.NotFound) {
			return 0, err
		}
		return 0, intoNamespace(ctx, e, ns, []action{{do: create, kind: core.ServiceAccount,
			obj:    &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: defaultAccount}},
			reason: "every namespace has a service account of this name"}})
	}}
}
