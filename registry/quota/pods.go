package quota

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	resourcehelper "k8s.io/component-helpers/resource"

	schemapods "gantry/schema/pods"
)

// podResources are those with fixed names that a pod uses.
var podResources = []corev1.ResourceName{
	corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage,
	corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory, corev1.ResourceRequestsEphemeralStorage,
	corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory, corev1.ResourceLimitsEphemeralStorage,
	corev1.ResourcePods,
}

// explicitResources are those that each container must request or limit where a quota has them.
var explicitResources = []corev1.ResourceName{
	corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory, corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory,
}

// podUsage is what a pod uses besides its count: nothing once it has ended, or ended overdue on a node that does not answer.
func podUsage(u corev1.ResourceList, pod *corev1.Pod, now time.Time) {
	if schemapods.IsTerminal(pod) || isOverdue(pod, now) {
		return
	}
	o := resourcehelper.PodResourcesOptions{UseStatusResources: true}
	addCompute(u, resourcehelper.PodRequests(pod, o), resourcehelper.PodLimits(pod, o))
	u[corev1.ResourcePods] = one
}

// Overdue is when a pod that is being deleted is not counted any more; zero: it is not being deleted.
func Overdue(pod *corev1.Pod) time.Time {
	if pod.DeletionTimestamp == nil || pod.DeletionGracePeriodSeconds == nil {
		return time.Time{}
	}
	return pod.DeletionTimestamp.Add(time.Duration(*pod.DeletionGracePeriodSeconds) * time.Second)
}

func isOverdue(pod *corev1.Pod, now time.Time) bool {
	at := Overdue(pod)
	return !at.IsZero() && now.After(at)
}

// addCompute sets what requests and limits are as resources of a quota.
func addCompute(u, requests, limits corev1.ResourceList) {
	for name, q := range requests {
		request := corev1.DefaultResourceRequestsPrefix + name
		switch {
		case name == corev1.ResourceCPU, name == corev1.ResourceMemory, name == corev1.ResourceEphemeralStorage,
			strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix):
			u[name], u[request] = q, q
		case isExtended(name):
			u[request] = q
		}
	}
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		if q, limited := limits[name]; limited {
			u["limits."+name] = q
		}
	}
}

func isExtended(name corev1.ResourceName) bool {
	if strings.HasPrefix(string(name), resourcev1.ResourceDeviceClassPrefix) {
		return true
	}
	return strings.Contains(string(name), "/") && !strings.Contains(string(name), corev1.ResourceDefaultNamespacePrefix) &&
		!strings.HasPrefix(string(name), corev1.DefaultResourceRequestsPrefix)
}

// Unspecified says which containers of a pod lack a request or limit of one of the resources: "must specify cpu for: web"; "" where none does.
// A pod with resources of its own needs none in its containers.
func Unspecified(pod *corev1.Pod, names []corev1.ResourceName) string {
	if resourcehelper.IsPodLevelResourcesSet(pod) {
		return ""
	}
	lacking := map[corev1.ResourceName][]string{}
	for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range list {
			u := corev1.ResourceList{}
			addCompute(u, list[i].Resources.Requests, list[i].Resources.Limits)
			for _, name := range names {
				if _, given := u[name]; !given && slices.Contains(explicitResources, name) {
					lacking[name] = append(lacking[name], list[i].Name)
				}
			}
		}
	}
	var parts []string
	for _, name := range names {
		if containers := lacking[name]; len(containers) > 0 {
			slices.Sort(containers)
			parts = append(parts, fmt.Sprintf("%s for: %s", name, strings.Join(containers, ",")))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "must specify " + strings.Join(parts, "; ")
}

// IsTerminating tells whether a pod has a deadline, which the scopes Terminating and NotTerminating ask for.
func IsTerminating(pod *corev1.Pod) bool {
	return pod.Spec.ActiveDeadlineSeconds != nil && *pod.Spec.ActiveDeadlineSeconds >= 0
}

// crossesNamespaces tells whether a pod has affinity to pods of other namespaces.
func crossesNamespaces(pod *corev1.Pod) bool {
	a := pod.Spec.Affinity
	if a == nil {
		return false
	}
	var terms []corev1.PodAffinityTerm
	var weighted []corev1.WeightedPodAffinityTerm
	if p := a.PodAffinity; p != nil {
		terms, weighted = append(terms, p.RequiredDuringSchedulingIgnoredDuringExecution...), append(weighted, p.PreferredDuringSchedulingIgnoredDuringExecution...)
	}
	if p := a.PodAntiAffinity; p != nil {
		terms, weighted = append(terms, p.RequiredDuringSchedulingIgnoredDuringExecution...), append(weighted, p.PreferredDuringSchedulingIgnoredDuringExecution...)
	}
	for i := range weighted {
		terms = append(terms, weighted[i].PodAffinityTerm)
	}
	return slices.ContainsFunc(terms, func(t corev1.PodAffinityTerm) bool { return len(t.Namespaces) > 0 || t.NamespaceSelector != nil })
}
