package authorize

import (
	"context"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// ForAdmission is an authorizer as rules of admission ask it.
func ForAdmission(a Authorizer) authorizer.Authorizer { return forAdmission{a} }

type forAdmission struct{ authorizer Authorizer }

// Authorize decides whether a user may do something. A label selector is no part of the question: without it, more is asked for.
func (f forAdmission) Authorize(ctx context.Context, asked authorizer.Attributes) (authorizer.Decision, string, error) {
	a := Attributes{
		User: userOf(asked.GetUser()), Verb: asked.GetVerb(), IsResource: asked.IsResourceRequest(),
		Group: asked.GetAPIGroup(), Version: asked.GetAPIVersion(), Plural: asked.GetResource(), Subresource: asked.GetSubresource(),
		Namespace: asked.GetNamespace(), Name: asked.GetName(), Path: asked.GetPath(),
	}
	if terms, err := asked.GetFieldSelector(); err == nil {
		a.Fields = fieldsOf(terms)
	}
	d, reason, err := f.authorizer.Authorize(ctx, a)
	if d == Allowed {
		return authorizer.DecisionAllow, reason, nil
	}
	return authorizer.DecisionNoOpinion, reason, err
}

func userOf(u user.Info) (out authenticationv1.UserInfo) {
	if u == nil {
		return out
	}
	out = authenticationv1.UserInfo{Username: u.GetName(), UID: u.GetUID(), Groups: u.GetGroups()}
	for key, values := range u.GetExtra() {
		if out.Extra == nil {
			out.Extra = map[string]authenticationv1.ExtraValue{}
		}
		out.Extra[key] = values
	}
	return out
}

// fieldsOf is a selector of all requirements that a field selector can be made of.
func fieldsOf(terms fields.Requirements) string {
	var all []fields.Selector
	for _, t := range terms {
		switch t.Operator {
		case selection.Equals, selection.DoubleEquals, selection.In:
			all = append(all, fields.OneTermEqualSelector(t.Field, t.Value))
		case selection.NotEquals, selection.NotIn:
			all = append(all, fields.OneTermNotEqualSelector(t.Field, t.Value))
		}
	}
	return fields.AndSelectors(all...).String()
}
