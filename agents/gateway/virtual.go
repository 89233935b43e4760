package gateway

import (
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"

	"gantry/agents/gateway/request"
	"gantry/schema"
	"gantry/schema/core"
)

// virtualResources are the table of what is answered and never stored.
func (g *gateway) virtualResources() []*request.Resource {
	const authentication, authorization = "authentication.k8s.io", "authorization.k8s.io"
	rows := []*request.Resource{
		virtual(bindingBody, "binding", true, g.bind),
		{Kind: core.ComponentStatus, Version: core.ComponentStatus.Stored(), Virtual: true, Handlers: request.Handlers{"get": g.getComponent, "list": g.listComponents}},
		virtual(review(authentication, "TokenReview", func() schema.Object { return &authenticationv1.TokenReview{} }), "tokenreview", false, g.authn.ReviewToken),
		virtual(review(authentication, "SelfSubjectReview", func() schema.Object { return &authenticationv1.SelfSubjectReview{} }), "selfsubjectreview", false, g.authn.ReviewSelf),
		virtual(review(authorization, "SubjectAccessReview", func() schema.Object { return &authorizationv1.SubjectAccessReview{} }), "subjectaccessreview", false, g.reviews.ReviewAccess),
		virtual(review(authorization, "SelfSubjectAccessReview", func() schema.Object { return &authorizationv1.SelfSubjectAccessReview{} }), "selfsubjectaccessreview", false, g.reviews.ReviewSelfAccess),
		virtual(review(authorization, "SelfSubjectRulesReview", func() schema.Object { return &authorizationv1.SelfSubjectRulesReview{} }), "selfsubjectrulesreview", false, g.reviews.ReviewRules),
		virtual(review(authorization, "LocalSubjectAccessReview", func() schema.Object { return &authorizationv1.LocalSubjectAccessReview{} }), "localsubjectaccessreview", true, g.reviews.ReviewLocalAccess),
	}
	return append(rows, g.resourceMetrics.Resources()...)
}

func review(group, kind string, empty func() schema.Object) *schema.Version {
	return &schema.Version{Group: group, Version: "v1", Kind: kind, New: empty}
}

// virtual is a resource that is created by handler and never stored.
func virtual(v *schema.Version, singular string, namespaced bool, handler request.Handler) *request.Resource {
	k := &schema.Kind{Version: *v, Plural: singular + "s", Singular: singular, Namespaced: namespaced, Verbs: []string{"create"}}
	return &request.Resource{Kind: k, Version: k.Stored(), Virtual: true, Handlers: request.Handlers{"create": handler}}
}
