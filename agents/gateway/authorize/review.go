package authorize

import (
	"net/http"
	"reflect"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
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
	if err := invalidReview(r, accessErrors(&review.Spec), metadataErrors(review.ObjectMeta)); err != nil {
		return err
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
	if err := invalidReview(r, accessErrors(&review.Spec), localErrors(review)); err != nil {
		return err
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
	s := &review.Spec
	if err := invalidReview(r, oneOfAttributes(s.ResourceAttributes, s.NonResourceAttributes), selectorErrors(s.ResourceAttributes), metadataErrors(review.ObjectMeta)); err != nil {
		return err
	}
	review.Status = v.decide(r, r.User, s.ResourceAttributes, s.NonResourceAttributes)
	return encode.Object(w, r, http.StatusCreated, review)
}

// invalidReview is the answer to a review with errors; nil: there are none. Kubernetes' text names the kind that its decoder has removed:
// none.
func invalidReview(r *request.Request, lists ...field.ErrorList) error {
	var errs field.ErrorList
	for _, l := range lists {
		errs = append(errs, l...)
	}
	if len(errs) == 0 {
		return nil
	}
	return apierrors.NewInvalid(kschema.GroupKind{Group: r.Kind.Group}, "", errs)
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
	var ignored []string
	if res != nil {
		a.IsResource, a.Verb, a.Group, a.Version, a.Plural = true, res.Verb, res.Group, res.Version, res.Resource
		a.Subresource, a.Namespace, a.Name = res.Subresource, res.Namespace, res.Name
		a.Fields, ignored = readSelectors(res)
	} else {
		a.Verb, a.Path = path.Verb, path.Path
	}
	d, reason, err := v.Authorizer.Authorize(r.Context(), a)
	return authorizationv1.SubjectAccessReviewStatus{Allowed: d == Allowed, Reason: reason, EvaluationError: evaluationError(err, ignored)}
}

// ReviewRules lists what the user of the request may do, as far as that can be listed. The answer has neither metadata nor spec.
func (v Reviews) ReviewRules(w http.ResponseWriter, r *request.Request) error {
	obj, err := decode.Review(w, r)
	if err != nil {
		return err
	}
	namespace := obj.(*authorizationv1.SelfSubjectRulesReview).Spec.Namespace
	if namespace == "" {
		return apierrors.NewBadRequest("no namespace on request")
	}
	answer := &authorizationv1.SelfSubjectRulesReview{Status: rulesStatus(v.Authorizer.Rules(r.Context(), r.User, namespace))}
	answer.SetGroupVersionKind(r.Kind.GVK())
	return encode.Object(w, r, http.StatusCreated, answer)
}

// distinct are the rules without those that another is equal to: what system:masters may do is granted by a role, too.
func distinct[T any](rules []T) (out []T) {
	for _, rule := range rules {
		if !slices.ContainsFunc(out, func(other T) bool { return reflect.DeepEqual(rule, other) }) {
			out = append(out, rule)
		}
	}
	return out
}

func rulesStatus(rules Rules, err error) authorizationv1.SubjectRulesReviewStatus {
	s := authorizationv1.SubjectRulesReviewStatus{ResourceRules: distinct(rules.Resources), NonResourceRules: distinct(rules.Paths), Incomplete: rules.Incomplete}
	if s.ResourceRules == nil {
		s.ResourceRules = []authorizationv1.ResourceRule{} // the field is required
	}
	if s.NonResourceRules == nil {
		s.NonResourceRules = []authorizationv1.NonResourceRule{}
	}
	s.EvaluationError = evaluationError(err, nil)
	return s
}
