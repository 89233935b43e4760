package lifecycle

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controller"
	"gantry/registry/bynode"
	"gantry/schema"
	"gantry/schema/apps"
	"gantry/schema/core"
)

// giveUpAnnotation on the namespace kube-system has the revision of the hold whose pods are given up.
const giveUpAnnotation = "gantry.io/give-up-vanished-pods"

var vanishedPods = promauto.NewGauge(prometheus.GaugeOpts{
	Name: "gantry_vanished_pods",
	Help: "Pods that were deleted in etcd past the API in such a number that their containers are kept and they are not replaced.",
})

// byNode keeps the copies of bound pods that nodes read equal to the pods, and says what becomes of pods that vanished.
type byNode struct{ *controller.Env }

// NewByNode keeps the copies of bound pods that nodes read equal to the pods, also when pods are written with etcdctl. While many
// pods have vanished (bynode.Hold) it says so in Events of the namespace kube-system and of the pods' owners.
func NewByNode(e *controller.Env) controller.Reconciler {
	c := byNode{e}
	return controller.RunOnly(func(ctx context.Context) error {
		defer vanishedPods.Set(0)
		return e.Registry.RepairByNode(ctx, bynode.Observer{
			Held:   func(pods int) { vanishedPods.Set(float64(pods)) },
			Report: func(h bynode.Hold, pods int, missed []string) { c.report(ctx, h, pods, missed) },
			GiveUp: func() string { return c.givenUp(ctx) },
		})
	})
}

// givenUp is the annotation that gives vanished pods up.
func (c byNode) givenUp(ctx context.Context) string {
	item, err := c.Registry.Get(ctx, core.Namespace, "", metav1.NamespaceSystem, "0")
	if err != nil {
		return ""
	}
	return item.Object().GetAnnotations()[giveUpAnnotation]
}

// report records Events: of the namespace kube-system each time, of the owners of the pods that were not missed before once.
func (c byNode) report(ctx context.Context, h bynode.Hold, pods int, missed []string) {
	what := fmt.Sprintf("without being deleted through the API: they are not replaced and their containers run on. `gantry undo pods --vanished` restores them; "+
		"`kubectl annotate namespace kube-system --overwrite %s=%d` gives them up, which happens at %s otherwise", giveUpAnnotation, h.Revision, h.Until.Format(time.RFC3339))
	system := corev1.ObjectReference{APIVersion: "v1", Kind: "Namespace", Namespace: metav1.NamespaceSystem, Name: metav1.NamespaceSystem}
	c.Events.Ref(system, corev1.EventTypeWarning, "PodsVanished", "%d pods vanished from etcd %s", pods, what)
	owners := map[corev1.ObjectReference]int{}
	for _, pod := range missed {
		namespace, name, _ := strings.Cut(pod, "/")
		item, err := c.Registry.Get(ctx, core.Pod, namespace, name, "0")
		if err != nil {
			continue
		}
		for _, ref := range c.controllersOf(ctx, item.Object()) {
			owners[corev1.ObjectReference{APIVersion: ref.APIVersion, Kind: ref.Kind, Namespace: namespace, Name: ref.Name, UID: ref.UID}]++
		}
	}
	refs := slices.SortedFunc(maps.Keys(owners), func(a, b corev1.ObjectReference) int { return strings.Compare(string(a.UID), string(b.UID)) })
	for _, ref := range refs {
		c.Events.Ref(ref, corev1.EventTypeWarning, "PodsVanished", "%d pods vanished from etcd %s", owners[ref], what)
	}
}

// controllersOf are the controller of a pod and, where that is a replica set, the replica set's.
func (c byNode) controllersOf(ctx context.Context, pod schema.Object) (refs []*metav1.OwnerReference) {
	ref := metav1.GetControllerOfNoCopy(pod)
	if ref == nil {
		return nil
	}
	refs = append(refs, ref)
	if ref.Kind != apps.ReplicaSet.Kind {
		return refs
	}
	if set, err := c.Registry.Get(ctx, apps.ReplicaSet, pod.GetNamespace(), ref.Name, "0"); err == nil {
		if deployment := metav1.GetControllerOfNoCopy(set.Object()); deployment != nil {
			refs = append(refs, deployment)
		}
	}
	return refs
}
