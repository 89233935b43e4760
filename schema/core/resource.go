package core

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	podresource "k8s.io/component-helpers/resource"

	"gantry/schema/internal/check"
)

// standardResources are the names without a domain that mean something; the first three do in a container.
var standardResources = []corev1.ResourceName{
	"cpu", "memory", "ephemeral-storage",
	"requests.cpu", "requests.memory", "requests.ephemeral-storage", "limits.cpu", "limits.memory", "limits.ephemeral-storage",
	"pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "configmaps", "persistentvolumeclaims",
	"storage", "requests.storage", "services.nodeports", "services.loadbalancers",
}

// countedResources come in whole numbers.
var countedResources = []corev1.ResourceName{"pods", "resourcequotas", "services", "replicationcontrollers", "secrets",
	"configmaps", "persistentvolumeclaims", "services.nodeports", "services.loadbalancers"}

func isHugePage(name corev1.ResourceName) bool {
	return strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix)
}

// overcommitable tells whether a resource's limit may be above its request: those of Kubernetes itself, without
// huge pages.
func overcommitable(name corev1.ResourceName) bool {
	return isNative(name) && !isHugePage(name)
}

// isNative tells a resource of Kubernetes itself from an extended one, which has a domain.
func isNative(name corev1.ResourceName) bool {
	return !strings.Contains(string(name), "/") || strings.Contains(string(name), corev1.ResourceDefaultNamespacePrefix)
}

// IsExtendedResource tells whether a resource is one that a device plug-in or driver may offer: of a domain that is not Kubernetes' own.
func IsExtendedResource(name corev1.ResourceName) bool {
	const quota = corev1.DefaultResourceRequestsPrefix
	return !isNative(name) && !strings.HasPrefix(string(name), quota) && len(validation.IsQualifiedName(quota+string(name))) == 0
}

func isCPUOrMemory(name corev1.ResourceName) bool {
	return name == corev1.ResourceCPU || name == corev1.ResourceMemory
}

// checkResourceName checks a name and returns whether it is one.
func checkResourceName(f *check.Errors, name corev1.ResourceName, p *field.Path) bool {
	if wrong := validation.IsQualifiedName(string(name)); len(wrong) > 0 {
		f.Each(p, name, wrong)
		return false
	}
	known := slices.Contains(standardResources, name) || isHugePage(name) || strings.HasPrefix(string(name), corev1.ResourceRequestsHugePagesPrefix)
	if !strings.Contains(string(name), "/") && !known {
		f.Invalid(p, name, "must be a standard resource type or fully qualified")
		return false
	}
	return true
}

// ValidateContainerResourceName returns every error of the name of a resource that a container may ask for.
func ValidateContainerResourceName(name corev1.ResourceName, p *field.Path) field.ErrorList {
	var c podCheck
	c.containerResource(name, p)
	return c.List
}

// containerResource checks the name of a resource that a container asks for.
func (c *podCheck) containerResource(name corev1.ResourceName, p *field.Path) {
	if isCPUOrMemory(name) {
		return
	}
	checkResourceName(&c.Errors, name, p)
	if !strings.Contains(string(name), "/") {
		if !slices.Contains(standardResources[:3], name) && !isHugePage(name) {
			c.Invalid(p, name, "must be a standard resource for containers")
		}
	} else if !isNative(name) && !IsExtendedResource(name) {
		c.Invalid(p, name, "doesn't follow extended resource name standard")
	}
}

// podResource checks the name of a resource that a pod as a whole asks for.
func (c *podCheck) podResource(name corev1.ResourceName, p *field.Path) {
	if checkResourceName(&c.Errors, name, p) && !podresource.IsSupportedPodLevelResource(name) {
		c.Add(field.NotSupported(p, name, sets.List(podresource.SupportedPodLevelResources())))
	}
}

// checkQuantity checks the amount of a resource.
func checkQuantity(f *check.Errors, name corev1.ResourceName, q resource.Quantity, p *field.Path) {
	if q.Sign() < 0 {
		f.Invalid(p, q.String(), "must be greater than or equal to 0")
	}
	if isCPUOrMemory(name) {
		return
	}
	if (slices.Contains(countedResources, name) || IsExtendedResource(name)) && q.MilliValue()%1000 != 0 {
		f.Invalid(p, q, "must be an integer")
	}
}

func (c *podCheck) checkHugePageSize(name corev1.ResourceName, q resource.Quantity, p *field.Path) {
	size, err := resource.ParseQuantity(strings.TrimPrefix(string(name), corev1.ResourceHugePagesPrefix))
	if err == nil && size.Sign() > 0 && size.MilliValue()%1000 == 0 && q.Value()%size.Value() == 0 {
		return
	}
	c.Invalid(p, q.String(), fmt.Sprintf("%s is not positive integer multiple of %s", q.String(), name))
}

// checkResources checks limits, requests and claims of r, whose names nameRule checks.
func (c *podCheck) checkResources(r *corev1.ResourceRequirements, p *field.Path, nameRule func(corev1.ResourceName, *field.Path)) {
	if len(r.Limits) == 0 && len(r.Requests) == 0 && len(r.Claims) == 0 {
		return
	}
	limits, requests := p.Child("limits"), p.Child("requests")
	compute, huge := false, false
	one := func(name corev1.ResourceName, q resource.Quantity, list *field.Path) {
		at := list.Key(string(name))
		nameRule(name, at)
		checkQuantity(&c.Errors, name, q, at)
		if isHugePage(name) {
			huge = true
			c.checkHugePageSize(name, q, at)
		}
		compute = compute || isCPUOrMemory(name)
	}
	for _, name := range sortedNames(r.Limits) {
		one(name, r.Limits[name], limits)
	}
	for _, name := range sortedNames(r.Requests) {
		request := r.Requests[name]
		one(name, request, requests)
		limit, limited := r.Limits[name]
		switch {
		case !limited && !overcommitable(name):
			c.Required(limits, "Limit must be set for non overcommitable resources")
		case limited && !overcommitable(name) && request.Cmp(limit) != 0:
			c.Invalid(requests, request.String(), fmt.Sprintf("must be equal to %s limit of %s", name, limit.String()))
		case limited && request.Cmp(limit) > 0:
			c.Invalid(requests, request.String(), fmt.Sprintf("must be less than or equal to %s limit of %s", name, limit.String()))
		}
	}
	if huge && !compute {
		c.Forbidden(p, "HugePages require cpu or memory")
	}
	c.checkClaimNames(r.Claims, p.Child("claims"))
}

// ValidateOverhead returns every error of the overhead of pods at p, in another object than a pod.
func ValidateOverhead(list corev1.ResourceList, p *field.Path) field.ErrorList {
	var c podCheck
	c.checkResources(&corev1.ResourceRequirements{Limits: list}, p, c.containerResource)
	return c.List
}

func sortedNames(list corev1.ResourceList) []corev1.ResourceName {
	if len(list) == 0 {
		return nil
	}
	names := make([]corev1.ResourceName, 0, len(list))
	for name := range list {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// checkClaimNames checks that a container's claims are the pod's, each named once: as a whole or request by request.
func (c *podCheck) checkClaimNames(claims []corev1.ResourceClaim, list *field.Path) {
	seen, parts := map[string]bool{}, map[string]int{}
	for i, claim := range claims {
		p := list.Index(i)
		if claim.Name == "" {
			c.Required(p, "")
			continue
		}
		if seen[claim.Name] {
			c.Duplicate(p, claim.Name)
		} else {
			c.checkClaimRequest(claim, p, seen, parts)
		}
		if !c.claims[claim.Name] {
			c.Add(c.unknownClaim(claim.Name, p))
		}
	}
}

// checkClaimRequest adds to seen what is claimed, and to parts the number of requests of a claim.
func (c *podCheck) checkClaimRequest(claim corev1.ResourceClaim, p *field.Path, seen map[string]bool, parts map[string]int) {
	key := claim.Name
	if claim.Request != "" {
		c.Label(p.Child("request"), claim.Request)
		key += "/" + claim.Request
	}
	if seen[key] {
		c.Duplicate(p, key)
		return
	}
	seen[key] = true
	if claim.Request == "" {
		for range parts[claim.Name] {
			c.Duplicate(p, claim.Name)
		}
	}
	if name, _, part := strings.Cut(key, "/"); part {
		parts[name]++
	}
}

func (c *podCheck) unknownClaim(name string, p *field.Path) *field.Error {
	if c.claimNames == "" {
		c.claimNames = "must be one of the names in pod.spec.resourceClaims"
		if len(c.claims) == 0 {
			c.claimNames += " which is empty"
		} else {
			c.claimNames += ": " + strings.Join(sets.List(sets.KeySet(c.claims)), ", ")
		}
	}
	err := field.NotFound(p, name)
	err.Detail = c.claimNames
	return err
}

// checkPodResources checks the resources of the pod as a whole, and that its containers fit in.
func (c *podCheck) checkPodResources(p *field.Path) {
	own := c.spec.Resources
	if own == nil {
		return
	}
	if c.spec.OS != nil && c.spec.OS.Name == corev1.Windows {
		c.Forbidden(p, "may not be set for a windows pod")
		return
	}
	if own.Claims != nil {
		c.Forbidden(p.Child("claims"), "claims may not be set for Resources at pod-level")
	}
	c.checkResources(own, p, c.podResource)
	pod := &corev1.Pod{Spec: *c.spec}
	sum := podresource.AggregateContainerRequests(pod, podresource.PodResourcesOptions{})
	for _, name := range sortedNames(sum) {
		total := sum[name]
		if q, ok := own.Requests[name]; ok && total.Cmp(q) > 0 {
			c.Invalid(p.Child("requests").Key(string(name)), q.String(), fmt.Sprintf("must be greater than or equal to aggregate container requests of %s", total.String()))
		}
	}
	sum = podresource.AggregateContainerLimits(pod, podresource.PodResourcesOptions{})
	for _, name := range sortedNames(sum) {
		total := sum[name]
		if q, ok := own.Limits[name]; ok && isHugePage(name) && total.Cmp(q) > 0 {
			c.Invalid(p.Child("limits").Key(string(name)), q.String(), fmt.Sprintf("must be greater than or equal to aggregate container limits of %s", total.String()))
		}
	}
	for i := range c.spec.Containers {
		limits := c.spec.Containers[i].Resources.Limits
		for _, name := range sortedNames(limits) {
			limit := limits[name]
			if q, ok := own.Limits[name]; ok && limit.Cmp(q) > 0 {
				c.Invalid(p.Child("containers").Index(i).Key(string(name)).Child("limits"), limit.String(), fmt.Sprintf("must be less than or equal to pod limits of %s", q.String()))
			}
		}
	}
}
