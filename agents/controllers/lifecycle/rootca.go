package lifecycle

import (
	"context"
	"errors"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema/core"
)

const (
	rootCAName = "kube-root-ca.crt"
	rootCAKey  = "ca.crt"
)

var rootCAAnnotations = map[string]string{
	"kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. " +
		"No other usage is guaranteed across distributions of Kubernetes clusters.",
}

// NewRootCA keeps the config map kube-root-ca.crt with the bundle ca in every namespace; an empty ca: it does nothing. Its keys are names of
// namespaces.
func NewRootCA(ca []byte) func(*controller.Env) controller.Reconciler {
	return func(e *controller.Env) controller.Reconciler {
		if len(ca) == 0 {
			return controller.Idle()
		}
		return controller.Reconciler{Watches: perNamespace(e, core.ConfigMap, rootCAName), Reconcile: func(ctx context.Context, ns string) (time.Duration, error) {
			have, err := registry.For[*corev1.ConfigMap](e.Registry).Cached(ctx, ns, rootCAName)
			if err != nil && !errors.Is(err, registry.NotFound) {
				return 0, err
			}
			return 0, executeInNamespace(ctx, e, ns, planRootCA(ns, have, string(ca)))
		}}
	}
}

// planRootCA decides the config map of one namespace; have is nil where there is none.
func planRootCA(ns string, have *corev1.ConfigMap, ca string) []controller.Action {
	if have == nil {
		return []controller.Action{{Do: controller.Create, Kind: core.ConfigMap, Reason: "pods of every namespace need the cluster's CA",
			Object: &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: rootCAName, Annotations: rootCAAnnotations}, Data: map[string]string{rootCAKey: ca}}}}
	}
	if len(have.Data) == 1 && have.Data[rootCAKey] == ca || have.DeletionTimestamp != nil {
		return nil
	}
	c := have.DeepCopy()
	c.Data, c.BinaryData = map[string]string{rootCAKey: ca}, nil
	c.Annotations = maps.Clone(rootCAAnnotations)
	return []controller.Action{{Do: controller.Update, Kind: core.ConfigMap, Object: c, Reason: "it is not the cluster's CA"}}
}
