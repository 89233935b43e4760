package plugins

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"gantry/registry/admit"
)

// extendedResourceToleration lets the pods that request an extended resource onto the nodes that are kept for it by a taint of its name.
func extendedResourceToleration() admit.Rule {
	return admit.Rule{
		Name: "ExtendedResourceToleration", Doc: "pods tolerate the taints named as the extended resources that they request",
		Wants: admit.Resource("pods", admit.Create, admit.Update), Mutate: tolerateResources,
	}
}

func tolerateResources(_ context.Context, _ admit.Reader, q *admit.Request) error {
	spec := &q.Object.(*corev1.Pod).Spec
	var names []string
	for _, containers := range [][]corev1.Container{spec.Containers, spec.InitContainers} {
		for i := range containers {
			for name := range containers[i].Resources.Requests {
				if isExtended(name) {
					names = append(names, string(name))
				}
			}
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		tolerate(spec, corev1.Toleration{Key: name, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule})
	}
	return nil
}

// isExtended tells whether a resource is an extended one: neither Kubernetes' own nor a quota's.
func isExtended(name corev1.ResourceName) bool {
	n := string(name)
	return strings.Contains(n, "/") && !strings.Contains(n, corev1.ResourceDefaultNamespacePrefix) && !strings.HasPrefix(n, corev1.DefaultResourceRequestsPrefix)
}

// tolerate adds a toleration, or replaces those that differ from it in their time alone.
func tolerate(spec *corev1.PodSpec, t corev1.Toleration) {
	matches := func(other corev1.Toleration) bool { return t.MatchToleration(&other) }
	if i := slices.IndexFunc(spec.Tolerations, matches); i >= 0 {
		spec.Tolerations[i] = t
		return
	}
	spec.Tolerations = append(spec.Tolerations, t)
}
