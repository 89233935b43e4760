package core

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

// quotaCheck is one validation of a quota.
type quotaCheck struct {
	check.Errors
	spec *corev1.ResourceQuotaSpec
	// apart are how many of the resources do not go with a scope, by scope, once it is known.
	apart map[corev1.ResourceQuotaScope]int
}

// validateResourceQuota checks that
//   - resources are ones that quotas have, and amounts are not negative, whole where they are counts;
//   - scopes are known, go with the resources and with each other;
//   - scope selectors have an operator that goes with their scope and their values.
func validateResourceQuota(q *corev1.ResourceQuota) field.ErrorList {
	c := quotaCheck{spec: &q.Spec}
	c.checkSpec()
	c.checkStatus(&q.Status)
	return c.List
}

// validateResourceQuotaUpdate checks that the scopes stay.
func validateResourceQuotaUpdate(q, old *corev1.ResourceQuota) field.ErrorList {
	c := quotaCheck{spec: &q.Spec}
	c.checkSpec()
	if !maps.Equal(setOf(q.Spec.Scopes), setOf(old.Spec.Scopes)) {
		c.Invalid(specPath.Child("scopes"), q.Spec.Scopes, apivalidation.FieldImmutableErrorMsg)
	}
	return c.List
}

func setOf[T comparable](list []T) map[T]bool {
	set := make(map[T]bool, len(list))
	for _, v := range list {
		set[v] = true
	}
	return set
}

func validateResourceQuotaStatus(q, _ *corev1.ResourceQuota) field.ErrorList {
	var c quotaCheck
	c.checkStatus(&q.Status)
	return c.List
}

func (c *quotaCheck) checkSpec() {
	c.checkAmounts(c.spec.Hard, specPath.Child("hard"))
	c.checkScopes(specPath.Child("scopes"))
	if c.spec.ScopeSelector != nil {
		c.checkSelector(c.spec.ScopeSelector, specPath.Child("scopeSelector", "matchExpressions"))
	}
}

func (c *quotaCheck) checkStatus(s *corev1.ResourceQuotaStatus) {
	p := field.NewPath("status")
	c.checkAmounts(s.Hard, p.Child("hard"))
	c.checkAmounts(s.Used, p.Child("used"))
}

func (c *quotaCheck) checkAmounts(list corev1.ResourceList, p *field.Path) {
	for _, name := range sortedNames(list) {
		at := p.Key(string(name))
		checkResourceName(&c.Errors, name, at)
		if !strings.Contains(string(name), "/") && !isQuotaResource(name) {
			c.Invalid(at, name, "must be a standard resource for quota")
		}
		checkQuantity(&c.Errors, name, list[name], at)
	}
}

// isQuotaResource tells whether a name without a domain is of something that quotas limit.
func isQuotaResource(name corev1.ResourceName) bool {
	return name != corev1.ResourceStorage && slices.Contains(standardResources, name) ||
		isHugePage(name) || strings.HasPrefix(string(name), corev1.ResourceRequestsHugePagesPrefix)
}

func (c *quotaCheck) checkScopes(p *field.Path) {
	scopes := c.spec.Scopes
	if len(scopes) == 0 {
		return
	}
	for _, scope := range scopes {
		if !isScope(scope) {
			c.Invalid(p, scopes, "unsupported scope")
		}
		c.checkResourcesOf(scope, p, scopes)
	}
	c.checkConflicts(setOf(scopes), p)
}

func isScope(scope corev1.ResourceQuotaScope) bool {
	switch scope {
	case corev1.ResourceQuotaScopeTerminating, corev1.ResourceQuotaScopeNotTerminating, corev1.ResourceQuotaScopeBestEffort, corev1.ResourceQuotaScopeNotBestEffort,
		corev1.ResourceQuotaScopePriorityClass, corev1.ResourceQuotaScopeVolumeAttributesClass, corev1.ResourceQuotaScopeCrossNamespacePodAffinity:
		return true
	}
	return false
}

// checkResourcesOf has an error for each resource that does not go with a scope.
func (c *quotaCheck) checkResourcesOf(scope corev1.ResourceQuotaScope, p *field.Path, value any) {
	apart, known := c.apart[scope]
	if !known {
		for name := range c.spec.Hard {
			if isQuotaResource(name) && !goesWith(scope, name) {
				apart++
			}
		}
		if c.apart == nil {
			c.apart = map[corev1.ResourceQuotaScope]int{}
		}
		c.apart[scope] = apart
	}
	for ; apart > 0 && !c.Full(); apart-- {
		c.Invalid(p, value, "unsupported scope applied to resource")
	}
}

// computeResources are what scopes of pods count besides pods.
var computeResources = []corev1.ResourceName{"cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"}

func goesWith(scope corev1.ResourceQuotaScope, name corev1.ResourceName) bool {
	switch scope {
	case corev1.ResourceQuotaScopeTerminating, corev1.ResourceQuotaScopeNotTerminating, corev1.ResourceQuotaScopeNotBestEffort,
		corev1.ResourceQuotaScopePriorityClass, corev1.ResourceQuotaScopeCrossNamespacePodAffinity:
		return name == corev1.ResourcePods || slices.Contains(computeResources, name)
	case corev1.ResourceQuotaScopeBestEffort:
		return name == corev1.ResourcePods
	case corev1.ResourceQuotaScopeVolumeAttributesClass:
		return name == corev1.ResourcePersistentVolumeClaims || name == corev1.ResourceRequestsStorage
	}
	return true
}

func (c *quotaCheck) checkConflicts(scopes map[corev1.ResourceQuotaScope]bool, p *field.Path) {
	for _, pair := range [][2]corev1.ResourceQuotaScope{
		{corev1.ResourceQuotaScopeBestEffort, corev1.ResourceQuotaScopeNotBestEffort}, {corev1.ResourceQuotaScopeTerminating, corev1.ResourceQuotaScopeNotTerminating},
	} {
		if scopes[pair[0]] && scopes[pair[1]] {
			c.Invalid(p, c.spec.Scopes, "conflicting scopes")
		}
	}
}

func (c *quotaCheck) checkSelector(s *corev1.ScopeSelector, p *field.Path) {
	const only = "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
	value, scopes, operator := check.Quoted(s), map[corev1.ResourceQuotaScope]bool{}, p.Child("operator")
	for i := range s.MatchExpressions {
		e := &s.MatchExpressions[i]
		if !isScope(e.ScopeName) {
			c.Invalid(p.Child("scopeName"), e.ScopeName, "unsupported scope")
		}
		c.checkResourcesOf(e.ScopeName, p, value)
		byValue := e.ScopeName == corev1.ResourceQuotaScopePriorityClass || e.ScopeName == corev1.ResourceQuotaScopeVolumeAttributesClass || !isScope(e.ScopeName)
		if !byValue && e.Operator != corev1.ScopeSelectorOpExists {
			c.Invalid(operator, e.Operator, only)
		}
		switch e.Operator {
		case corev1.ScopeSelectorOpIn, corev1.ScopeSelectorOpNotIn:
			if len(e.Values) == 0 {
				c.Required(p.Child("values"), "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector")
			}
		case corev1.ScopeSelectorOpExists, corev1.ScopeSelectorOpDoesNotExist:
			if len(e.Values) > 0 {
				c.Invalid(p.Child("values"), e.Values, "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector")
			}
		default:
			c.Invalid(operator, e.Operator, "not a valid selector operator")
		}
		scopes[e.ScopeName] = true
	}
	c.checkConflicts(scopes, p)
}
