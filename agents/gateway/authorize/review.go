package authorize

import (
	"net/http"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/agents/gateway/decode"
	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/request"
)

// Reviews answer what users may do.
type Reviews struct{ Authorizer Authorizer }

// ReviewAccess answers whether a user may do something.
func (v Reviews) ReviewAccess(w http.ResponseWriter, r *request.Request) error {
	obj, err := decode.Review(w, r)
	if err != nil {
		return err
	}
	review := obj.(*authorizationv1.SubjectAccessReview)
	if faults := accessFaults(&review.Spec); len(faults) > 0 {
		return apierrors.NewInvalid(r.Kind.GVK().GroupKind(), "", faults)
	}
	review.Status = v.decide(r, reviewUser(&review.Spec), review.Spec.ResourceAttributes, review.Spec.NonResourceAttributes)
	return encode.Object(w, r, http.StatusCreated, review)
}

// ReviewLocalAccess is ReviewAccess within a namespace.
func (v Reviews) ReviewLocalAccess(w http.ResponseWriter, r *request.Request) error {
	obj, err := decode.Review(w, r)
	if err != nil {
		return err
	}
	review := obj.(*authorizationv1.LocalSubjectAccessReview)
	faults := accessFaults(&review.Spec)
	if a := review.Spec.ResourceAttributes; a != nil && a.Namespace != r.Namespace {
		faults = append(faults, field.Invalid(field.NewPath("spec.resourceAttributes.namespace"), a.Namespace, "must match metadata.namespace"))
	}
	if review.Spec.NonResourceAttributes != nil {
		faults = append(faults, field.Invalid(field.NewPath("spec.nonResourceAttributes"), review.Spec.NonResourceAttributes, "disallowed on this kind of request"))
	}
	if len(faults) > 0 {
		return apierrors.NewInvalid(r.Kind.GVK().GroupKind(), "", faults)
	}
	review.Status = v.decide(r, reviewUser(&review.Spec), review.Spec.ResourceAttributes, nil)
	return encode.Object(w, r, http.StatusCreated, review)
}

// ReviewSelfAccess answers whether the user of the request may do something.
func (v Reviews) ReviewSelfAccess(w http.ResponseWriter, r *request.Request) error {
	obj, err := decode.Review(w, r)
	if err != nil {
		return err
	}
	review := obj.(*authorizationv1.SelfSubjectAccessReview)
	if (review.Spec.ResourceAttributes == nil) == (review.Spec.NonResourceAttributes == nil) {
		return apierrors.NewInvalid(r.Kind.GVK().GroupKind(), "", field.ErrorList{oneOfAttributes(review.Spec.NonResourceAttributes)})
	}
	review.Status = v.decide(r, r.User, review.Spec.ResourceAttributes, review.Spec.NonResourceAttributes)
	return encode.Object(w, r, http.StatusCreated, review)
}

func accessFaults(s *authorizationv1.SubjectAccessReviewSpec) (faults field.ErrorList) {
	if (s.ResourceAttributes == nil) == (s.NonResourceAttributes == nil) {
		faults = append(faults, oneOfAttributes(s.NonResourceAttributes))
	}
	if s.User == "" && len(s.Groups) == 0 {
		faults = append(faults, field.Invalid(field.NewPath("spec.user"), s.User, `at least one of user or group must be specified`))
	}
	return faults
}

func oneOfAttributes(v *authorizationv1.NonResourceAttributes) *field.Error {
	if v == nil {
		return field.Invalid(field.NewPath("spec.resourceAttributes"), v, "exactly one of nonResourceAttributes or resourceAttributes must be specified")
	}
	return field.Invalid(field.NewPath("spec.nonResourceAttributes"), v, "cannot be specified in combination with resourceAttributes")
}

func reviewUser(s *authorizationv1.SubjectAccessReviewSpec) authenticationv1.UserInfo {
	user := authenticationv1.UserInfo{Username: s.User, UID: s.UID, Groups: s.Groups}
	for k, v := range s.Extra {
		if user.Extra == nil {
			user.Extra = map[string]authenticationv1.ExtraValue{}
		}
		user.Extra[k] = authenticationv1.ExtraValue(v)
	}
	return user
}

// decide asks the authorizer on behalf of user.
func (v Reviews) decide(r *request.Request, user authenticationv1.UserInfo, res *authorizationv1.ResourceAttributes, path *authorizationv1.NonResourceAttributes) authorizationv1.SubjectAccessReviewStatus {
	a := Attributes{User: user}
	if res != nil {
		a.IsResource, a.Verb, a.Group, a.Version, a.Plural = true, res.Verb, res.Group, res.Version, res.Resource
		a.Subresource, a.Namespace, a.Name = res.Subresource, res.Namespace, res.Name
	} else {
		a.Verb, a.Path = path.Verb, path.Path
	}
	d, reason, err := v.Authorizer.Authorize(r.Context(), a)
	s := authorizationv1.SubjectAccessReviewStatus{Allowed: d == Allowed, Reason: reason}
	if err != nil {
		s.EvaluationError = err.Error()
	}
	return s
}

// ReviewRules lists what the user of the request may do, as far as that can be listed.
func (v Reviews) ReviewRules(w http.ResponseWriter, r *request.Request) error {
	obj, err := decode.Review(w, r)
	if err != nil {
		return err
	}
	review := obj.(*authorizationv1.SelfSubjectRulesReview)
	if review.Spec.Namespace == "" {
		return apierrors.NewBadRequest("no namespace on request")
	}
	review.Status = rulesStatus(v.Authorizer.Rules(r.Context(), r.User, review.Spec.Namespace))
	return encode.Object(w, r, http.StatusCreated, review)
}

func rulesStatus(rules Rules, err error) authorizationv1.SubjectRulesReviewStatus {
	s := authorizationv1.SubjectRulesReviewStatus{ResourceRules: rules.Resources, NonResourceRules: rules.Paths, Incomplete: rules.Incomplete}
	if s.ResourceRules == nil {
		s.ResourceRules = []authorizationv1.ResourceRule{} // the field is required
	}
	if s.NonResourceRules == nil {
		s.NonResourceRules = []authorizationv1.NonResourceRule{}
	}
	if err != nil {
		s.EvaluationError = err.Error()
	}
	return s
}
