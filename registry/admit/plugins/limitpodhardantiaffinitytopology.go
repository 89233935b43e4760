package plugins

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"gantry/registry/admit"
)

// limitPodHardAntiAffinityTopology refuses pods that keep others off more than one node.
func limitPodHardAntiAffinityTopology() admit.Rule {
	return admit.Rule{
		Name: "LimitPodHardAntiAffinityTopology", Doc: "the required anti-affinity of pods is by node",
		Wants: admit.Resource("pods", admit.Create, admit.Update), Validate: checkAntiAffinity,
	}
}

func checkAntiAffinity(_ context.Context, _ admit.Reader, q *admit.Request) error {
	affinity := q.Object.(*corev1.Pod).Spec.Affinity
	if affinity == nil || affinity.PodAntiAffinity == nil {
		return nil
	}
	for i := range affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
		if key := affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution[i].TopologyKey; key != corev1.LabelHostname {
			return &admit.Denied{Reason: fmt.Sprintf("affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey %v but only key %v is allowed", key, corev1.LabelHostname)}
		}
	}
	return nil
}
