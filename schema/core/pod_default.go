package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	podresource "k8s.io/component-helpers/resource"
)

// defaultPod sets the defaults of pods, in addition to those of pod templates.
func defaultPod(pod *corev1.Pod) {
	spec := &pod.Spec
	for _, containers := range [][]corev1.Container{spec.Containers, spec.InitContainers} {
		for i := range containers {
			defaultRequests(&containers[i].Resources)
			if spec.HostNetwork {
				defaultHostPorts(containers[i].Ports)
			}
		}
	}
	if spec.Resources != nil {
		defaultPodHugePageLimits(pod)
		defaultPodRequests(pod)
	}
	if spec.EnableServiceLinks == nil {
		yes := true
		spec.EnableServiceLinks = &yes
	}
	DefaultPodSpec(spec)
	// For pods only: a template with a negative period stays as it is.
	if *spec.TerminationGracePeriodSeconds < 0 {
		second := int64(1)
		spec.TerminationGracePeriodSeconds = &second
	}
	defaultPodStatus(&pod.Status)
}

// DefaultPodSpec fills what a pod's spec and a template's have in common.
func DefaultPodSpec(spec *corev1.PodSpec) {
	if spec.DNSPolicy == "" {
		spec.DNSPolicy = corev1.DNSClusterFirst
	}
	if spec.RestartPolicy == "" {
		spec.RestartPolicy = corev1.RestartPolicyAlways
	}
	if spec.SecurityContext == nil {
		spec.SecurityContext = &corev1.PodSecurityContext{}
	}
	if spec.TerminationGracePeriodSeconds == nil {
		seconds := int64(corev1.DefaultTerminationGracePeriodSeconds)
		spec.TerminationGracePeriodSeconds = &seconds
	}
	if spec.SchedulerName == "" {
		spec.SchedulerName = corev1.DefaultSchedulerName
	}
	// serviceAccount is the old name of serviceAccountName: read when the new one is empty, written always.
	if spec.ServiceAccountName == "" {
		spec.ServiceAccountName = spec.DeprecatedServiceAccount
	}
	spec.DeprecatedServiceAccount = spec.ServiceAccountName

	for i := range spec.Volumes {
		defaultVolume(&spec.Volumes[i])
	}
	for i := range spec.InitContainers {
		defaultContainer(&spec.InitContainers[i])
	}
	for i := range spec.Containers {
		defaultContainer(&spec.Containers[i])
	}
	for i := range spec.EphemeralContainers {
		defaultContainer((*corev1.Container)(&spec.EphemeralContainers[i].EphemeralContainerCommon))
	}
	roundResources(spec.Overhead)
	if spec.Resources != nil {
		roundResources(spec.Resources.Limits)
		roundResources(spec.Resources.Requests)
	}
}

func defaultPodStatus(status *corev1.PodStatus) {
	for _, list := range [][]corev1.ContainerStatus{status.InitContainerStatuses, status.ContainerStatuses, status.EphemeralContainerStatuses} {
		for i := range list {
			roundResources(list[i].AllocatedResources)
			if list[i].Resources != nil {
				roundResources(list[i].Resources.Limits)
				roundResources(list[i].Resources.Requests)
			}
		}
	}
	roundResources(status.AllocatedResources)
	if status.Resources != nil {
		roundResources(status.Resources.Limits)
		roundResources(status.Resources.Requests)
	}
	// podIP is the first of podIPs; where they differ podIP counts, as older writers set only podIP.
	if status.PodIP != "" && (len(status.PodIPs) == 0 || status.PodIPs[0].IP != status.PodIP) {
		status.PodIPs = []corev1.PodIP{{IP: status.PodIP}}
	}
	if len(status.PodIPs) > 0 {
		status.PodIP = status.PodIPs[0].IP
	}
}

// defaultRequests makes a limit the request where none is given.
func defaultRequests(r *corev1.ResourceRequirements) {
	if r.Limits == nil {
		return
	}
	if r.Requests == nil {
		r.Requests = make(corev1.ResourceList, len(r.Limits))
	}
	for name, limit := range r.Limits {
		if _, set := r.Requests[name]; !set {
			r.Requests[name] = limit.DeepCopy()
		}
	}
}

// defaultHostPorts publishes the ports of a container in the host's network.
func defaultHostPorts(ports []corev1.ContainerPort) {
	for i := range ports {
		if ports[i].HostPort == 0 {
			ports[i].HostPort = ports[i].ContainerPort
		}
	}
}

// defaultPodHugePageLimits sums the containers' huge page limits where the pod has resources of its own but says
// nothing of that page size.
func defaultPodHugePageLimits(pod *corev1.Pod) {
	own := pod.Spec.Resources
	if len(own.Limits) == 0 && len(own.Requests) == 0 {
		return
	}
	for name, sum := range podresource.AggregateContainerLimits(pod, podresource.PodResourcesOptions{}) {
		_, requested := own.Requests[name]
		_, limited := own.Limits[name]
		if requested || limited || !isHugePage(name) || !podresource.IsSupportedPodLevelResource(name) {
			continue
		}
		if own.Limits == nil {
			own.Limits = corev1.ResourceList{}
		}
		own.Limits[name] = sum.DeepCopy()
	}
}

// defaultPodRequests fills the pod's own requests, where it has limits of its own: with the sum of its containers'
// requests, else with the limit.
func defaultPodRequests(pod *corev1.Pod) {
	own := pod.Spec.Resources
	if len(own.Limits) == 0 {
		return
	}
	requests := own.Requests
	if requests == nil {
		requests = corev1.ResourceList{}
	}
	fill := func(name corev1.ResourceName, q resource.Quantity) {
		if _, set := requests[name]; !set && podresource.IsSupportedPodLevelResource(name) {
			requests[name] = q.DeepCopy()
		}
	}
	for name, sum := range podresource.AggregateContainerRequests(pod, podresource.PodResourcesOptions{}) {
		if overcommitable(name) {
			fill(name, sum)
		}
	}
	for name, limit := range own.Limits {
		fill(name, limit)
	}
	if len(requests) > 0 {
		own.Requests = requests
	}
}

// roundResources rounds quantities up to thousandths, the finest the API keeps.
func roundResources(list corev1.ResourceList) {
	for name, q := range list {
		if !q.RoundUp(resource.Milli) {
			list[name] = q
		}
	}
}
