package core

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// validatePod checks a pod about to be created.
func validatePod(pod *corev1.Pod) field.ErrorList {
	c := checkPod(pod, nil)
	spec := field.NewPath("spec")
	if len(pod.Spec.EphemeralContainers) > 0 {
		c.Forbidden(spec.Child("ephemeralContainers"), "cannot be set on create")
	}
	if pod.Spec.NodeName != "" && len(pod.Spec.SchedulingGates) > 0 {
		c.Forbidden(spec.Child("nodeName"), "cannot be set until all schedulingGates have been cleared")
	}
	c.profileAnnotations(pod.Annotations, spec)
	return c.List
}

// checkPod checks what holds for a pod on every write of its spec.
func checkPod(pod, old *corev1.Pod) *podCheck {
	c := &podCheck{spec: &pod.Spec, meta: &pod.ObjectMeta}
	if old != nil {
		c.old = &old.Spec
	}
	c.podAnnotations(pod.Annotations, field.NewPath("metadata", "annotations"))
	spec := field.NewPath("spec")
	c.run(spec)
	if pod.Spec.ServiceAccountName == "" {
		c.checkNoTokens(spec.Child("volumes"))
	}
	for i := range pod.Spec.Containers {
		c.checkImageSpace(&pod.Spec.Containers[i], spec.Child("containers").Index(i))
	}
	for i := range pod.Spec.InitContainers {
		c.checkImageSpace(&pod.Spec.InitContainers[i], spec.Child("initContainers").Index(i))
	}
	return c
}

func (c *podCheck) checkNoTokens(volumes *field.Path) {
	for i := range c.spec.Volumes {
		if c.spec.Volumes[i].Projected == nil {
			continue
		}
		for j, s := range c.spec.Volumes[i].Projected.Sources {
			if s.ServiceAccountToken != nil {
				c.Forbidden(volumes.Index(i).Child("projected", "sources").Index(j).Child("serviceAccountToken"), "must not be specified when serviceAccountName is not set")
			}
		}
	}
}

// checkAnnotationUpdate checks that annotations that only count on a create did not change.
func (c *podCheck) checkAnnotationUpdate(pod, old *corev1.Pod) {
	p := field.NewPath("metadata", "annotations")
	for _, key := range sortedKeys(old.Annotations) {
		if value, ok := pod.Annotations[key]; ok && value == old.Annotations[key] {
			continue
		}
		if strings.HasPrefix(key, appArmorAnnotation) {
			c.Forbidden(p.Key(key), "may not remove or update AppArmor annotations")
		}
		if key == corev1.MirrorPodAnnotationKey {
			c.Forbidden(p.Key(key), "may not remove or update mirror pod annotation")
		}
	}
	for _, key := range sortedKeys(pod.Annotations) {
		if _, ok := old.Annotations[key]; ok {
			continue
		}
		if strings.HasPrefix(key, appArmorAnnotation) {
			c.Forbidden(p.Key(key), "may not add AppArmor annotations")
		}
		if key == corev1.MirrorPodAnnotationKey {
			c.Forbidden(p.Key(key), "may not add mirror pod annotation")
		}
	}
}
