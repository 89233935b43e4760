package controllers

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// setupByNode keeps the copies of bound pods that nodes read equal to the pods, when somebody writes pods with etcdctl. That it
// holds back is an Event of the namespace kube-system.
func setupByNode(e *env) wiring {
	about := corev1.ObjectReference{APIVersion: "v1", Kind: "Namespace", Namespace: metav1.NamespaceSystem, Name: metav1.NamespaceSystem}
	return repair(func(ctx context.Context) error {
		return e.r.RepairByNode(ctx, func(text string) {
			e.events.Ref(about, corev1.EventTypeWarning, "PodsVanished", "%s", text)
		})
	})
}

// setupClaims keeps the claims on cluster IPs and node ports equal to what the services say.
func setupClaims(e *env) wiring { return repair(e.r.RepairClaims) }

// repair is a loop of the registry that a leader runs.
func repair(run func(context.Context) error) wiring {
	return wiring{
		reconcile: func(context.Context, string) (time.Duration, error) { return 0, nil },
		run: func(ctx context.Context) error {
			err := run(ctx)
			if ctx.Err() != nil {
				return nil
			}
			return err
		},
	}
}
