package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// QOS is a pod's quality of service class, from its CPU and memory alone: BestEffort where nothing is requested or
// limited; Guaranteed where every container limits both and requests are equal to limits; Burstable else.
// Resources of the pod as a whole, where it has any, stand in for its containers'. Ephemeral containers
// do not count.
func QOS(pod *corev1.Pod) corev1.PodQOSClass {
	s := qosSums{requests: corev1.ResourceList{}, limits: corev1.ResourceList{}, limited: true}
	if own := pod.Spec.Resources; own != nil {
		s.add(own.Requests, own.Limits, len(own.Limits) > 0)
	} else {
		for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
			for i := range list {
				s.add(list[i].Resources.Requests, list[i].Resources.Limits, true)
			}
		}
	}
	return s.class()
}

// qosSums adds up what counts. limited is false once anything lacks a limit of CPU or memory.
type qosSums struct {
	requests, limits corev1.ResourceList
	limited          bool
}

func (s *qosSums) add(requests, limits corev1.ResourceList, mustLimit bool) {
	sumCompute(s.requests, requests)
	if found := sumCompute(s.limits, limits); mustLimit && found < 2 {
		s.limited = false
	}
}

func (s *qosSums) class() corev1.PodQOSClass {
	if len(s.requests) == 0 && len(s.limits) == 0 {
		return corev1.PodQOSBestEffort
	}
	if !s.limited || len(s.requests) != len(s.limits) {
		return corev1.PodQOSBurstable
	}
	for name, request := range s.requests {
		if limit, ok := s.limits[name]; !ok || limit.Cmp(request) != 0 {
			return corev1.PodQOSBurstable
		}
	}
	return corev1.PodQOSGuaranteed
}

// sumCompute adds CPU and memory of list to sum and tells how many of the two list has.
func sumCompute(sum, list corev1.ResourceList) (found int) {
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		q, ok := list[name]
		if !ok || q.Cmp(resource.Quantity{}) <= 0 {
			continue
		}
		found++
		total := q.DeepCopy()
		total.Add(sum[name])
		sum[name] = total
	}
	return found
}
