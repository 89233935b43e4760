package webhooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	reviewv1 "k8s.io/api/admission/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"

	"gantry/registry/admit"
	"gantry/registry/admit/match"
	"gantry/schema"
)

// calls is what both rules have.
type calls struct {
	hooks      hooks
	caller     Caller
	configured string // the kind of the configurations
	report     func(Failure)
}

// callError is a webhook that could not be asked: its failure policy decides.
type callError struct {
	hook string
	err  error
}

func (e *callError) Error() string {
	return fmt.Sprintf("failed calling webhook %q: %v", e.hook, e.err)
}
func (e *callError) Unwrap() error { return e.err }

// call asks a webhook. It returns its patch, *callError where it gave no answer, *admit.Rejected where it refuses.
func (c *calls) call(ctx context.Context, read admit.Reader, q *admit.Request, h *hook, o *match.Objects, mutating bool) (answer *reviewv1.AdmissionResponse, err error) {
	if q.DryRun && (h.SideEffects == nil || *h.SideEffects != admissionv1.SideEffectClassNone && *h.SideEffects != admissionv1.SideEffectClassNoneOnDryRun) {
		return nil, match.BadRequest("admission webhook %q does not support dry run", h.Name)
	}
	review, err := reviewOf(q, o)
	if err != nil {
		return nil, &callError{h.Name, fmt.Errorf("could not create admission objects: %w", err)}
	}
	body, err := json.Marshal(review)
	if err != nil {
		return nil, &callError{h.Name, fmt.Errorf("could not create admission objects: %w", err)}
	}
	if h.TimeoutSeconds != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(*h.TimeoutSeconds)*time.Second)
		defer cancel()
	}
	data, err := c.caller.Post(ctx, read, &h.ClientConfig, body)
	if err != nil {
		return nil, &callError{h.Name, fmt.Errorf("failed to call webhook: %w", err)}
	}
	if answer, err = responseIn(data, review.Request.UID, mutating); err != nil {
		return nil, &callError{h.Name, fmt.Errorf("received invalid webhook response: %w", err)}
	}
	return answer, nil
}

// accept adds an answer's warnings and annotations to the request, and returns the refusal that it is.
func accept(q *admit.Request, h *hook, answer *reviewv1.AdmissionResponse) error {
	for key, value := range answer.AuditAnnotations {
		q.Annotate(h.Name+"/"+key, value)
	}
	for _, text := range answer.Warnings {
		q.Warn(text)
	}
	if answer.Allowed {
		return nil
	}
	return refusal(h.Name, answer.Result)
}

// refusal is a webhook's refusal as clients get it.
func refusal(name string, s *metav1.Status) error {
	if s == nil {
		s = &metav1.Status{}
	}
	const badRequest = 400
	s.Code = max(s.Code, badRequest) // it is no success
	if s.Status == "" || s.Status == metav1.StatusSuccess {
		s.Status = metav1.StatusFailure
	}
	text := fmt.Sprintf("admission webhook %q denied the request", name)
	switch {
	case s.Message != "":
		text += ": " + s.Message
	case s.Reason != "":
		text += ": " + string(s.Reason)
	default:
		text += " without explanation"
	}
	s.Message = text
	return &admit.Rejected{Status: *s}
}

// reviewOf is what a webhook is sent.
func reviewOf(q *admit.Request, o *match.Objects) (*reviewv1.AdmissionReview, error) {
	object, err := rawOf(o.Object)
	if err != nil {
		return nil, err
	}
	old, err := rawOf(o.Old)
	if err != nil {
		return nil, err
	}
	options, err := rawOf(q.Options())
	if err != nil {
		return nil, err
	}
	kind := metav1.GroupVersionKind(o.Kind)
	requestKind := kind
	if o.Kind == o.Version.GVK() {
		requestKind = metav1.GroupVersionKind(q.Version.GVK())
	}
	gvr := func(v *schema.Version) metav1.GroupVersionResource {
		return metav1.GroupVersionResource{Group: v.Group, Version: v.Version, Resource: q.Kind.Plural}
	}
	requestResource, dryRun := gvr(q.Version), q.DryRun
	return &reviewv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &reviewv1.AdmissionRequest{
			UID: uuid.NewUUID(), Kind: kind, Resource: gvr(o.Version), SubResource: q.Subresource,
			RequestKind: &requestKind, RequestResource: &requestResource, RequestSubResource: q.Subresource,
			Name: q.Name, Namespace: q.Namespace, Operation: reviewv1.Operation(q.Operation), UserInfo: *q.User,
			Object: object, OldObject: old, DryRun: &dryRun, Options: options,
		},
	}, nil
}

func rawOf(obj runtime.Object) (runtime.RawExtension, error) {
	data, err := match.Encode(obj)
	return runtime.RawExtension{Raw: data}, err
}

// responseIn reads a webhook's answer.
func responseIn(data []byte, uid types.UID, mutating bool) (*reviewv1.AdmissionResponse, error) {
	var review reviewv1.AdmissionReview
	if err := json.Unmarshal(data, &review); err != nil {
		return nil, err
	}
	r := review.Response
	want := reviewv1.SchemeGroupVersion.WithKind("AdmissionReview")
	switch {
	case r == nil:
		return nil, errors.New("webhook response was absent")
	case r.UID != uid:
		return nil, fmt.Errorf("expected response.uid=%q, got %q", uid, r.UID)
	case review.GroupVersionKind() != want:
		return nil, fmt.Errorf("expected webhook response of %v, got %v", want, review.GroupVersionKind())
	case !mutating && len(r.Patch) > 0:
		return nil, errors.New("validating webhook may not return response.patch")
	case !mutating && r.PatchType != nil:
		return nil, errors.New("validating webhook may not return response.patchType")
	case len(r.Patch) > 0 && r.PatchType == nil:
		return nil, errors.New("webhook returned response.patch but not response.patchType")
	case len(r.Patch) == 0 && r.PatchType != nil:
		return nil, errors.New("webhook returned response.patchType but not response.patch")
	case r.PatchType != nil && *r.PatchType != reviewv1.PatchTypeJSONPatch:
		return nil, fmt.Errorf("unsupported patch type %q", *r.PatchType)
	}
	return r, nil
}
