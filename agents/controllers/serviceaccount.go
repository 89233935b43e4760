package controllers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
)

const (
	defaultAccount = "default"
	rootCAName     = "kube-root-ca.crt"
	rootCAKey      = "ca.crt"
)

var rootCANote = map[string]string{
	"kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. " +
		"No other usage is guaranteed across distributions of Kubernetes clusters.",
}

func setupServiceAccount(e *env) wiring {
	return wiring{watches: perNamespace(e, core.ServiceAccount, defaultAccount), reconcile: func(ctx context.Context, ns string) (time.Duration, error) {
		_, err := registry.For[*corev1.ServiceAccount](e.r).Cached(ctx, ns, defaultAccount)
		if !errors.Is(err, registry.NotFound) {
			return 0, err
		}
		return 0, e.intoNamespace(ctx, ns, []action{{do: create, kind: core.ServiceAccount,
			obj:    &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: defaultAccount}},
			reason: "every namespace has a service account of this name"}})
	}}
}

func setupRootCA(e *env) wiring {
	if len(e.cfg.RootCA) == 0 {
		return wiring{reconcile: func(context.Context, string) (time.Duration, error) { return 0, nil }}
	}
	return wiring{watches: perNamespace(e, core.ConfigMap, rootCAName), reconcile: func(ctx context.Context, ns string) (time.Duration, error) {
		was, err := registry.For[*corev1.ConfigMap](e.r).Cached(ctx, ns, rootCAName)
		if err != nil && !errors.Is(err, registry.NotFound) {
			return 0, err
		}
		return 0, e.intoNamespace(ctx, ns, planRootCA(ns, was, string(e.cfg.RootCA)))
	}}
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

// perNamespace asks for a look at a namespace when it comes, and when the object of a name in it changes.
func perNamespace(e *env, kind *schema.Kind, name string) []watch {
	return []watch{
		{core.Namespace, func(old, current schema.Object) {
			if current != nil {
				e.add(current.GetName(), 0)
			}
		}},
		{kind, func(old, current schema.Object) {
			if old != nil && old.GetName() == name {
				e.add(old.GetNamespace(), 0)
			}
		}},
	}
}

// intoNamespace executes a plan for a namespace that is there to stay; another one needs nothing.
func (e *env) intoNamespace(ctx context.Context, name string, plan []action) error {
	ns, err := registry.For[*corev1.Namespace](e.r).Cached(ctx, "", name)
	if errors.Is(err, registry.NotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for namespace %s: %w", name, err)
	}
	if ns.DeletionTimestamp != nil || ns.Status.Phase == corev1.NamespaceTerminating {
		return nil
	}
	err = e.execute(ctx, plan)
	if errors.Is(err, registry.Exists) {
		return nil // somebody was faster
	}
	return err
}
