package controllers

import (
	"context"

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
