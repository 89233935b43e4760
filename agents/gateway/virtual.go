package gateway

import (
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"

	"gantry/agents/gateway/request"
	"gantry/schema"
)

// Kinds that are asked and answered, and never stored.
var (
	tokenReviewKind = &schema.Kind{
		Group: "authentication.k8s.io", Version: "v1", Kind: "TokenReview", Plural: "tokenreviews", Singular: "tokenreview",
		New: func() schema.Object { return &authenticationv1.TokenReview{} },
	}
	selfReviewKind = &schema.Kind{
		Group: "authentication.k8s.io", Version: "v1", Kind: "SelfSubjectReview", Plural: "selfsubjectreviews", Singular: "selfsubjectreview",
		New: func() schema.Object { return &authenticationv1.SelfSubjectReview{} },
	}
	accessReviewKind = &schema.Kind{
		Group: "authorization.k8s.io", Version: "v1", Kind: "SubjectAccessReview", Plural: "subjectaccessreviews", Singular: "subjectaccessreview",
		New: func() schema.Object { return &authorizationv1.SubjectAccessReview{} },
	}
	selfAccessReviewKind = &schema.Kind{
		Group: "authorization.k8s.io", Version: "v1", Kind: "SelfSubjectAccessReview", Plural: "selfsubjectaccessreviews", Singular: "selfsubjectaccessreview",
		New: func() schema.Object { return &authorizationv1.SelfSubjectAccessReview{} },
	}
	rulesReviewKind = &schema.Kind{
		Group: "authorization.k8s.io", Version: "v1", Kind: "SelfSubjectRulesReview", Plural: "selfsubjectrulesreviews", Singular: "selfsubjectrulesreview",
		New: func() schema.Object { return &authorizationv1.SelfSubjectRulesReview{} },
	}
	localAccessReviewKind = &schema.Kind{
		Group: "authorization.k8s.io", Version: "v1", Kind: "LocalSubjectAccessReview", Plural: "localsubjectaccessreviews", Singular: "localsubjectaccessreview",
		Namespaced: true,
		New:        func() schema.Object { return &authorizationv1.LocalSubjectAccessReview{} },
	}
	bindingKind = &schema.Kind{
		Version: "v1", Kind: "Binding", Plural: "bindings", Singular: "binding", Namespaced: true,
		New: func() schema.Object { return &corev1.Binding{} },
	}

	// Bodies of subresources.
	scaleKind = &schema.Kind{
		Group: "autoscaling", Version: "v1", Kind: "Scale", Namespaced: true,
		New: func() schema.Object { return &autoscalingv1.Scale{} },
	}
	evictionKind = &schema.Kind{
		Group: "policy", Version: "v1", Kind: "Eviction", Namespaced: true,
		New: func() schema.Object { return &policyv1.Eviction{} },
	}
)

// virtualKinds are those with a path of their own; each can only be created.
var virtualKinds = []*schema.Kind{
	bindingKind, tokenReviewKind, selfReviewKind,
	accessReviewKind, selfAccessReviewKind, rulesReviewKind, localAccessReviewKind,
}

func virtualKind(group, version, plural string) *schema.Kind {
	for _, k := range virtualKinds {
		if k.Group == group && k.Version == version && k.Plural == plural {
			return k
		}
	}
	return nil
}

// served are the kinds that have paths: stored and virtual ones.
type served struct{ *schema.Set }

// Resource finds a kind by its place in the API; nil where there is none.
func (s served) Resource(group, version, plural string) *schema.Kind {
	if k := s.Set.Resource(group, version, plural); k != nil {
		return k
	}
	return virtualKind(group, version, plural)
}

// virtual is the handler of a virtual kind; nil for a stored one.
func (g *gateway) virtual(k *schema.Kind) request.Handler {
	switch k {
	case bindingKind:
		return g.bind
	case tokenReviewKind:
		return g.authn.ReviewToken
	case selfReviewKind:
		return g.authn.ReviewSelf
	case accessReviewKind:
		return g.reviews.ReviewAccess
	case selfAccessReviewKind:
		return g.reviews.ReviewSelfAccess
	case rulesReviewKind:
		return g.reviews.ReviewRules
	case localAccessReviewKind:
		return g.reviews.ReviewLocalAccess
	}
	return nil
}

// servedSubresource tells whether a kind has a subresource and the gateway serves it.
func servedSubresource(k *schema.Kind, name string) bool {
	switch name {
	case "status":
		return k.HasStatus
	case "scale":
		return k.Scale != nil
	case "binding", "eviction", "token", "finalize", "resize", "log", "exec", "attach", "portforward":
		for _, s := range k.Subresources {
			if s.Name == name {
				return true
			}
		}
	}
	return false
}
