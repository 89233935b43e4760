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

var rootCANote = map[string]string{
	"kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. " +
		"No other usage is guaranteed across distributions of Kubernetes clusters.",
}

func NewRootCA(ca []byte) func(*controller.Env) controller.Reconciler {
	return func(e *controller.Env) controller.Reconciler {
		if len(ca) == 0 {
			return controller.Reconciler{Reconcile: func(context.Context, string) (time.Duration, error) { return 0, nil }}
		}
		return controller.Reconciler{Watches: perNamespace(e, core.ConfigMap, rootCAName), Reconcile: func(ctx context.Context, ns string) (time.Duration, error) {
			was, err := registry.For[*corev1.ConfigMap](e.Registry).Cached(ctx, ns, rootCAName)
			if err != nil && !errors.Is(err, registry.NotFound) {
				return 0, err
			}
			return 0, intoNamespace(ctx, e, ns, planRootCA(ns, was, string(ca)))
		}}
	}
}

// planRootCA decides the config map of one namespace; was is nil where there is none.
func planRootCA(ns string, was *corev1.ConfigMap, ca string) []controller.Action {
	if was == nil {
		return []controller.Action{{Do: controller.Create, Kind: core.ConfigMap, Reason: "pods of every namespace need the cluster's CA",
			Object: &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: rootCAName, Annotations: rootCANote}, Data: map[string]string{rootCAKey: ca}}}}
	}
	if len(was.Data) == 1 && was.Data[rootCAKey] == ca || was.DeletionTimestamp != nil {
		return nil
	}
	c := was.DeepCopy()
	c.Data, c.BinaryData = map[string]string{rootCAKey: ca}, nil
	c.Annotations = maps.Clone(rootCANote)
	return []controller.Action{{Do: controller.Update, Kind: core.ConfigMap, Object: c, Reason: "it is not the cluster's CA"}}
}
