package lifecycle

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controller"
)

// NewByNode keeps the copies of bound pods that nodes read equal to the pods, also when pods are written with etcdctl. When many
// pods have vanished it deletes no copies and records an Event of the namespace kube-system.
func NewByNode(e *controller.Env) controller.Reconciler {
	about := corev1.ObjectReference{APIVersion: "v1", Kind: "Namespace", Namespace: metav1.NamespaceSystem, Name: metav1.NamespaceSystem}
	return controller.RunOnly(func(ctx context.Context) error {
		return e.Registry.RepairByNode(ctx, func(text string) {
			e.Events.Ref(about, corev1.EventTypeWarning, "PodsVanished", "%s", text)
		})
	})
}
