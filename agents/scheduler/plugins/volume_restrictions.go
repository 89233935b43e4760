package plugins

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/scheduler/framework"
	"gantry/registry"
	"gantry/schema/volumes"
)

// handleData is the data of plug-ins that only read the registry's caches.
func handleData(h framework.Handle) any { return h }

// exclusiveClaims counts the pods on nodes that use claims which only one pod may use.
type exclusiveClaims struct {
	namespace string
	names     []string // of the claims of a signature with the access mode ReadWriteOncePod
	users     int
}

// preFilterRestrictions returns nil for a signature without claims for one pod alone. A claim that is absent is VolumeBinding's to report.
func preFilterRestrictions(data any, c *framework.ClusterState, sig *framework.PodSignature) any {
	h, ok := data.(framework.Handle)
	if !ok || h.Registry == nil {
		return nil
	}
	own := &exclusiveClaims{namespace: sig.Pod.Namespace}
	for _, name := range volumes.ClaimNames(sig.Pod) {
		pvc, err := registry.For[*corev1.PersistentVolumeClaim](h.Registry).Cached(context.Background(), own.namespace, name)
		if err == nil && slices.Contains(pvc.Spec.AccessModes, corev1.ReadWriteOncePod) {
			own.names = append(own.names, name)
		}
	}
	if own.names == nil {
		return nil
	}
	framework.CountPods(c, own)
	return own
}

// UpdatePods counts pods that are being deleted too: they have their volumes until they are gone.
func (e *exclusiveClaims) UpdatePods(_ *framework.NodeInfo, sig *framework.PodSignature, by int, _ bool) {
	if sig.Pod.Namespace != e.namespace {
		return
	}
	for _, name := range volumes.ClaimNames(sig.Pod) {
		if slices.Contains(e.names, name) {
			e.users += by
		}
	}
}

func (*exclusiveClaims) DropSignature(*framework.PodSignature) {}

func filterRestrictions(_ *framework.PreFilterState, own any, _ *framework.NodeInfo) ([]string, bool) {
	if own.(*exclusiveClaims).users > 0 {
		return []string{"node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod"}, false
	}
	return nil, false
}
