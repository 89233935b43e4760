package controllers

import (
	"context"
	"errors"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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

func setupRootCA(ca []byte) func(*env) wiring {
	return func(e *env) wiring {
		if len(ca) == 0 {
			return wiring{reconcile: func(context.Context, string) (time.Duration, error) { return 0, nil }}
		}
		return wiring{watches: perNamespace(e, core.ConfigMap, rootCAName), reconcile: func(ctx context.Context, ns string) (time.Duration, error) {
			was, err := registry.For[*corev1.ConfigMap](e.r).Cached(ctx, ns, rootCAName)
			if err != nil && !errors.Is(err, registry.NotFound) {
				return 0, err
			}
			return 0, intoNamespace(ctx, e, ns, planRootCA(ns, was, string(ca)))
		}}
	}
}

// planRootCA decides the config map of one namespace; was is nil where there is none.
func planRootCA(ns string, was *corev1.ConfigMap, ca string) []action {
	if was == nil {
		return []action{{do: create, kind: core.ConfigMap, reason: "pods of every namespace need the cluster's CA",
			obj: &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: rootCAName, Annotations: rootCANote}, Data: map[string]string{rootCAKey: ca}}}}
	}
	if len(was.Data) == 1 && was.Data[rootCAKey] == ca || was.DeletionTimestamp != nil {
		return nil
	}
	c := was.DeepCopy()
	c.Data, c.BinaryData = map[string]string{rootCAKey: ca}, nil
	c.Annotations = maps.Clone(rootCANote)
	return []action{{do: update, kind: core.ConfigMap, obj: c, reason: "it is not the cluster's CA"}}
}
