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
		Version: schema.Version{
			Group: "authentication.k8s.io", Version: "v1", Kind: "TokenReview",
			New: func() schema.Object { return &authenticationv1.TokenReview{} },
		},
		Plural: "tokenreviews", Singular: "tokenreview",
	}
	selfReviewKind = &schema.Kind{
		Version: schema.Version{
			Group: "authentication.k8s.io", Version: "v1", Kind: "SelfSubjectReview",
			New: func() schema.Object { return &authenticationv1.SelfSubjectReview{} },
		},
		Plural: "selfsubjectreviews", Singular: "selfsubjectreview",
	}
	accessReviewKind = &schema.Kind{
		Version: schema.Version{
			Group: "authorization.k8s.io", Version: "v1", Kind: "SubjectAccessReview",
			New: func() schema.Object { return &authorizationv1.SubjectAccessReview{} },
		},
		Plural: "subjectaccessreviews", Singular: "subjectaccessreview",
	}
	selfAccessReviewKind = &schema.Kind{
		Version: schema.Version{
			Group: "authorization.k8s.io", Version: "v1", Kind: "SelfSubjectAccessReview",
			New: func() schema.Object { return &authorizationv1.SelfSubjectAccessReview{} },
		},
		Plural: "selfsubjectaccessreviews", Singular: "selfsubjectaccessreview",
	}
	rulesReviewKind = &schema.Kind{
		Version: schema.Version{
			Group: "authorization.k8s.io", Version: "v1", Kind: "SelfSubjectRulesReview",
			New: func() schema.Object { return &authorizationv1.SelfSubjectRulesReview{} },
		},
		Plural: "selfsubjectrulesreviews", Singular: "selfsubjectrulesreview",
	}
	localAccessReviewKind = &schema.Kind{
		Version: schema.Version{
			Group: "authorization.k8s.io", Version: "v1", Kind: "LocalSubjectAccessReview",
			New: func() schema.Object { return &authorizationv1.LocalSubjectAccessReview{} },
		},
		Plural: "localsubjectaccessreviews", Singular: "localsubjectaccessreview",
		Namespaced: true,
	}
	bindingKind = &schema.Kind{
		Version: schema.Version{
			Version: "v1", Kind: "Binding",
			New: func() schema.Object { return &corev1.Binding{} },
		},
		Plural: "bindings", Singular: "binding", Namespaced: true,
	}

	// Bodies of subresources.
	scaleKind = &schema.Kind{
		Version: schema.Version{
			Group: "autoscaling", Version: "v1", Kind: "Scale",
			New: func() schema.Object { return &autoscalingv1.Scale{} },
		},
		Namespaced: true,
	}
	evictionKind = &schema.Kind{
		Version: schema.Version{
			Group: "policy", Version: "v1", Kind: "Eviction",
			New: func() schema.Object { return &policyv1.Eviction{} },
		},
		Namespaced: true,
	}
)

// virtualKinds are those with a path of their own; each can only be created.
var virtualKinds = []*schema.Kind{
	bindingKind, tokenReviewKind, selfReviewKind,
	accessReviewKind, selfAccessReviewKind, rulesReviewKind, localAccessReviewKind,
}

func virtualKind(group, version, plural string) *schema.Kind {
	for _, k := range virtualKinds {
		if k.Group == group && k.Version.Version == version && k.Plural == plural {
			return k
		}
	}
	return nil
}

// served are the kinds that have paths: stored and virtual ones.
type served struct{ kinds *schema.Kinds }

// Resource finds a kind by its place in the API; nil where there is none.
func (s served) Resource(group, version, plural string) *schema.Kind {
	if k := s.kinds.Set().Served(group, version, plural).Kind; k != nil {
		return k
	}
	return virtualKind(group, version, plural)
}

// Key takes an etcd key below /registry/ apart.
func (s served) Key(rel string) (k *schema.Kind, namespace, name string, ok bool) {
	return s.kinds.Set().Key(rel)
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
	case "status", "scale", "binding", "eviction", "token", "finalize", "resize", "log", "exec", "attach", "portforward":
		return k.Subresource(name) != nil
	}
	return false
}
