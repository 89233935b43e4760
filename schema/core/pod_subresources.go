package core

import (
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/pods"
)

// prepareEphemeralContainers is PrepareUpdate of the ephemeralcontainers subresource: nothing but the ephemeral
// containers counts.
func prepareEphemeralContainers(pod, old *corev1.Pod) {
	added := pod.Spec.EphemeralContainers
	pod.Spec = *old.Spec.DeepCopy()
	pod.Spec.EphemeralContainers = added
	pod.Status = *old.Status.DeepCopy()
	metav1.ResetObjectMetaForStatus(&pod.ObjectMeta, &old.ObjectMeta)
	DropOff(&pod.Spec, &old.Spec)
	raisePodGeneration(pod, old)
}

// validateEphemeralContainers is ValidateUpdate of the ephemeralcontainers subresource: they are added, never changed
// or removed.
func validateEphemeralContainers(pod, old *corev1.Pod) field.ErrorList {
	if pods.IsMirror(old.Annotations) {
		return field.ErrorList{field.Forbidden(field.NewPath(""), "static pods do not support ephemeral containers")}
	}
	c := checkPod(pod, old)
	c.checkAnnotationUpdate(pod, old)
	p := field.NewPath("spec", "ephemeralContainers")
	byName := make(map[string]*corev1.EphemeralContainer, len(pod.Spec.EphemeralContainers))
	for i := range pod.Spec.EphemeralContainers {
		byName[pod.Spec.EphemeralContainers[i].Name] = &pod.Spec.EphemeralContainers[i]
	}
	for i := range old.Spec.EphemeralContainers {
		was := &old.Spec.EphemeralContainers[i]
		switch is := byName[was.Name]; {
		case is == nil:
			c.Forbidden(p, fmt.Sprintf("existing ephemeral containers %q may not be removed\n", was.Name))
		case !equality.Semantic.DeepEqual(*is, *was):
			text := ""
			if !c.Full() {
				text = difference(*was, *is)
			}
			c.Forbidden(p, fmt.Sprintf("existing ephemeral containers %q may not be changed\n%v", was.Name, text))
		}
	}
	return c.List
}

// prepareResize is PrepareUpdate of the resize subresource: nothing but resources and resize policies counts, of
// containers and of the pod.
func prepareResize(pod, old *corev1.Pod) {
	metav1.ResetObjectMetaForStatus(&pod.ObjectMeta, &old.ObjectMeta)
	pod.Status = *old.Status.DeepCopy()
	if sameNames(pod.Spec.Containers, old.Spec.Containers) && sameNames(pod.Spec.InitContainers, old.Spec.InitContainers) {
		was := old.Spec.DeepCopy()
		takeResources(was.Containers, pod.Spec.Containers)
		takeResources(was.InitContainers, pod.Spec.InitContainers)
		was.Resources = pod.Spec.Resources
		pod.Spec = *was
	}
	raisePodGeneration(pod, old)
}

// sameNames is false where containers came, went or changed places, which validation names.
func sameNames(list, old []corev1.Container) bool {
	if len(list) != len(old) {
		return false
	}
	for i := range list {
		if list[i].Name != old[i].Name {
			return false
		}
	}
	return true
}

func takeResources(to, from []corev1.Container) {
	for i := range to {
		to[i].Resources, to[i].ResizePolicy = from[i].Resources, from[i].ResizePolicy
	}
}

// validateResize is ValidateUpdate of the resize subresource: CPU and memory may change, but not be removed, and the
// pod's QoS class stays.
func validateResize(pod, old *corev1.Pod) field.ErrorList {
	if pods.IsMirror(old.Annotations) {
		return field.ErrorList{field.Forbidden(field.NewPath(""), "static pods cannot be resized")}
	}
	if old.Spec.OS != nil && old.Spec.OS.Name == corev1.Windows {
		return field.ErrorList{field.Forbidden(field.NewPath(""), "windows pods cannot be resized")}
	}
	c := checkPod(pod, old)
	spec := field.NewPath("spec")
	if QOS(old) != QOS(pod) {
		c.Invalid(spec, pod.Status.QOSClass, "Pod QOS Class may not change as a result of resizing")
	}
	if !reportsResources(old) {
		c.Forbidden(spec, "Pod running on node without support for resize")
	}
	if len(old.Status.NodeAllocatableResourceClaimStatuses) > 0 {
		c.Forbidden(spec, "pods with node allocatable resource claims cannot be resized")
	}
	rest := pod.Spec.DeepCopy()
	c.resizePod(rest, &old.Spec, spec)
	regular := c.resizeOrder(pod.Spec.Containers, old.Spec.Containers, spec, "containers")
	initial := c.resizeOrder(pod.Spec.InitContainers, old.Spec.InitContainers, spec, "initContainers")
	if !regular || !initial {
		return c.List
	}
	c.resizeInit(rest.InitContainers, old.Spec.InitContainers, spec.Child("initContainers"))
	c.resizeRegular(rest.Containers, old.Spec.Containers, spec)
	if len(c.List) == 0 && !equality.Semantic.DeepEqual(*rest, old.Spec) {
		c.Forbidden(spec, "only cpu and memory resources are mutable")
	}
	return c.List
}

// reportsResources tells whether the status of the first running container has resources: its kubelet reports them.
func reportsResources(pod *corev1.Pod) bool {
	for _, s := range pod.Status.ContainerStatuses {
		if s.State.Running != nil {
			return s.Resources != nil
		}
	}
	return true
}

func (c *podCheck) resizeOrder(list, old []corev1.Container, spec *field.Path, name string) bool {
	p := spec.Child(name)
	if len(list) != len(old) {
		c.Forbidden(p, name+" may not be added or removed on resize")
		return false
	}
	same := true
	for i := range list {
		if list[i].Name != old[i].Name {
			c.Forbidden(p.Index(i).Child("name"), name+" may not be renamed or reordered on resize")
			same = false
		}
	}
	return same
}

// resizeInit checks init containers and sets what a resize may change back to old's.
func (c *podCheck) resizeInit(rest, old []corev1.Container, p *field.Path) {
	for i := range rest {
		at := p.Index(i)
		changed := !c.resizeContainer(&rest[i], &old[i], at)
		if !equality.Semantic.DeepEqual(rest[i], old[i]) {
			c.Forbidden(at, "only cpu and memory resources for init or sidecar containers are mutable")
		}
		if !changed || pods.IsSidecar(&rest[i]) {
			continue
		}
		for _, r := range rest[i].ResizePolicy {
			if r.RestartPolicy == corev1.RestartContainer {
				c.Forbidden(at, "non-sidecar init containers with a resize policy of RestartContainer cannot be resized")
			}
		}
	}
}

// resizeRegular is resizeInit for regular containers.
func (c *podCheck) resizeRegular(rest, old []corev1.Container, spec *field.Path) {
	for i := range rest {
		c.resizeContainer(&rest[i], &old[i], spec.Child("containers").Index(i))
		if !equality.Semantic.DeepEqual(rest[i], old[i]) {
			c.Forbidden(spec, "only cpu and memory resources are mutable")
		}
	}
}

// resizeContainer sets CPU and memory back to old's and returns whether the container is what it was. One with
// claims is never: Kubernetes does not resize those.
func (c *podCheck) resizeContainer(rest, old *corev1.Container, p *field.Path) (same bool) {
	same = equality.Semantic.DeepEqual(*rest, *old)
	c.keepsResources(&rest.Resources, &old.Resources, p.Child("resources"), "resource")
	resetCompute(&rest.Resources, &old.Resources)
	rest.Resources.Claims = nil
	return same
}

func (c *podCheck) resizePod(rest, old *corev1.PodSpec, spec *field.Path) {
	p := spec.Child("resources")
	if old.Resources == nil && rest.Resources == nil {
		return
	}
	if rest.Resources == nil {
		c.Forbidden(p, "pod-level resources cannot be removed")
		return
	}
	was := old.Resources
	if was == nil {
		was = &corev1.ResourceRequirements{}
	}
	c.keepsResources(rest.Resources, was, p, "pod-level resource")
	resetCompute(rest.Resources, was)
	if old.Resources == nil && len(rest.Resources.Limits) == 0 && len(rest.Resources.Requests) == 0 && len(rest.Resources.Claims) == 0 {
		rest.Resources = nil
	}
	if !equality.Semantic.DeepEqual(rest.Resources, old.Resources) {
		c.Forbidden(spec, "only cpu and memory resources are mutable at pod-level")
	}
}

func (c *podCheck) keepsResources(is, was *corev1.ResourceRequirements, p *field.Path, what string) {
	if lost(is.Requests, was.Requests) {
		c.Forbidden(p.Child("requests"), what+" requests cannot be removed")
	}
	if lost(is.Limits, was.Limits) {
		c.Forbidden(p.Child("limits"), what+" limits cannot be removed")
	}
}

func lost(is, was corev1.ResourceList) bool {
	for name := range was {
		if _, ok := is[name]; !ok {
			return true
		}
	}
	return false
}

// resetCompute sets CPU and memory of is back to was's.
func resetCompute(is, was *corev1.ResourceRequirements) {
	is.Requests = resetList(is.Requests, was.Requests)
	is.Limits = resetList(is.Limits, was.Limits)
}

func resetList(is, was corev1.ResourceList) corev1.ResourceList {
	out := maps.Clone(is)
	if out == nil {
		out = corev1.ResourceList{}
	}
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		if q, ok := was[name]; ok {
			out[name] = q
		} else {
			delete(out, name)
		}
	}
	if len(out) == 0 && was == nil {
		return nil
	}
	return out
}
