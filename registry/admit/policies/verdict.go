package policies

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"gantry/registry/admit"
)

// verdict is what policies say of a request.
type verdict struct {
	request     *admit.Request
	authz       authorizer.Authorizer // answers the policies' expressions
	denials     []denial
	annotations map[string][]string // of the policy that is being checked
}

type binding = admissionv1.ValidatingAdmissionPolicyBinding

func (v *verdict) deny(p *policy, b *binding, text string, reason metav1.StatusReason) {
	if b != nil {
		text = fmt.Sprintf("ValidatingAdmissionPolicy '%s' with binding '%s' denied request: %s", p.Name, b.Name, text)
	} else {
		text = fmt.Sprintf("ValidatingAdmissionPolicy '%s' denied request: %s", p.Name, text)
	}
	v.denials = append(v.denials, denial{text, reason})
}

// misconfigured says that a policy, or one of its bindings, cannot be used.
func (v *verdict) misconfigured(p *policy, b *binding, err error) {
	if !ignored(p.Spec.FailurePolicy) {
		v.deny(p, b, err.Error(), "")
	}
}

// failed says that an expression could not be evaluated.
func (v *verdict) failed(p *policy, b *binding, i int, text string) {
	if !ignored(p.Spec.FailurePolicy) {
		v.denied(p, b, i, text, "")
	}
}

// denied says that a validation does not hold. What that means is the binding's choice.
func (v *verdict) denied(p *policy, b *binding, i int, text string, reason metav1.StatusReason) {
	for _, action := range b.Spec.ValidationActions {
		switch action {
		case admissionv1.Deny:
			v.deny(p, b, text, reason)
		case admissionv1.Warn:
			v.request.Warn(fmt.Sprintf("Validation failed for ValidatingAdmissionPolicy '%s' with binding '%s': %s", p.Name, b.Name, text))
		case admissionv1.Audit:
			v.audit(p, b, i, text)
		}
	}
}

// audit annotates the request with a validation that does not hold, in Kubernetes' format.
func (v *verdict) audit(p *policy, b *binding, i int, text string) {
	value, _ := json.Marshal([]struct { // strings and numbers always marshal
		Message           string                         `json:"message"`
		Policy            string                         `json:"policy"`
		Binding           string                         `json:"binding"`
		ExpressionIndex   int                            `json:"expressionIndex"`
		ValidationActions []admissionv1.ValidationAction `json:"validationActions"`
	}{{text, p.Name, b.Name, i, b.Spec.ValidationActions}})
	v.request.Annotate("validation.policy.admission.k8s.io/validation_failure", string(value))
}

func (v *verdict) annotationFailed(p *policy, b *binding, text string) {
	if !ignored(p.Spec.FailurePolicy) {
		v.deny(p, b, text, "")
	}
}

// maxAnnotation is how many bytes of an annotation's value are kept.
const maxAnnotation = 10 << 10

func (v *verdict) annotate(key, value string) {
	if v.annotations == nil {
		v.annotations = map[string][]string{}
	}
	value = value[:min(len(value), maxAnnotation)]
	if !slices.Contains(v.annotations[key], value) {
		v.annotations[key] = append(v.annotations[key], value)
	}
}

// publish adds the annotations of a policy's bindings to the request.
func (v *verdict) publish(p *policy) {
	for key, values := range v.annotations {
		v.request.Annotate(p.Name+"/"+key, strings.Join(values, ", "))
	}
	v.annotations = nil
}

// codes are the HTTP status codes of the reasons that a validation may have.
var codes = map[metav1.StatusReason]int32{
	metav1.StatusReasonForbidden: 403, metav1.StatusReasonUnauthorized: 401,
	metav1.StatusReasonRequestEntityTooLarge: 413, metav1.StatusReasonInvalid: 422,
}

// forbidden refuses a request, for which a text is the reason.
func forbidden(q *admit.Request, text string) metav1.Status {
	name := q.Name
	if name == "" && q.Object != nil {
		name = q.Object.GetGenerateName()
	}
	if name == "" {
		name = "Unknown"
	}
	return apierrors.NewForbidden(q.Version.GV().WithResource(q.Kind.Plural).GroupResource(), name, errors.New(text)).ErrStatus
}

// err is the answer to the request: the first denial, nil where there is none.
func (v *verdict) err() error {
	if len(v.denials) == 0 {
		return nil
	}
	first, q := v.denials[0], v.request
	s := forbidden(q, first.text)
	if s.Reason = first.reason; s.Reason == "" {
		s.Reason = metav1.StatusReasonInvalid
	}
	if s.Code = codes[s.Reason]; s.Code == 0 {
		s.Code = 422
	}
	s.Details.Causes = append(s.Details.Causes, metav1.StatusCause{Message: first.text})
	return &admit.Rejected{Status: s}
}
