package encode

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"gantry/agents/gateway/request"
	"gantry/registry"
)

// statuses is the one table from registry's kinds of error to Kubernetes' Status.
var statuses = map[registry.ErrorKind]func(e *registry.Error, gr kschema.GroupResource) *apierrors.StatusError{
	registry.NotFound: func(e *registry.Error, gr kschema.GroupResource) *apierrors.StatusError {
		return apierrors.NewNotFound(gr, e.Name)
	},
	registry.Exists: func(e *registry.Error, gr kschema.GroupResource) *apierrors.StatusError {
		s := apierrors.NewAlreadyExists(gr, e.Name)
		if e.Reason != "" { // on its way out, or no free name was found
			s.ErrStatus.Message = e.Reason
		}
		return s
	},
	registry.Conflict: func(e *registry.Error, gr kschema.GroupResource) *apierrors.StatusError {
		return apierrors.NewConflict(gr, e.Name, errors.New(text(e, Modified)))
	},
	registry.Expired: func(e *registry.Error, _ kschema.GroupResource) *apierrors.StatusError {
		s := apierrors.NewResourceExpired(text(e, "The resourceVersion for the provided watch is too old."))
		s.ErrStatus.Continue = e.Continue
		return s
	},
	registry.BadRequest: func(e *registry.Error, _ kschema.GroupResource) *apierrors.StatusError {
		return apierrors.NewBadRequest(text(e, "the server rejected our request for an unknown reason"))
	},
	registry.Invalid: func(e *registry.Error, gr kschema.GroupResource) *apierrors.StatusError {
		return apierrors.NewInvalid(kschema.GroupKind{Group: gr.Group, Kind: e.KindName}, e.Name, e.Fields)
	},
	registry.Forbidden: func(e *registry.Error, gr kschema.GroupResource) *apierrors.StatusError {
		return apierrors.NewForbidden(gr, e.Name, errors.New(text(e, "not allowed")))
	},
	registry.TooManyRequests: func(e *registry.Error, _ kschema.GroupResource) *apierrors.StatusError {
		if len(e.Causes) > 0 { // a rule of admission, which says when
			return apierrors.NewTooManyRequests(e.Reason, seconds(e.RetryAfter))
		}
		return apierrors.NewTooManyRequests(text(e, TooMany), max(1, seconds(e.RetryAfter)))
	},
	registry.Replaced: func(e *registry.Error, _ kschema.GroupResource) *apierrors.StatusError {
		return apierrors.NewTooManyRequests(e.Reason, seconds(e.RetryAfter))
	},
	registry.TooLarge: func(e *registry.Error, _ kschema.GroupResource) *apierrors.StatusError {
		return apierrors.NewRequestEntityTooLargeError(text(e, "the object is larger than etcd takes"))
	},
	registry.Unavailable: func(e *registry.Error, _ kschema.GroupResource) *apierrors.StatusError {
		s := apierrors.NewServiceUnavailable(text(e, "etcd is not available"))
		s.ErrStatus.Details = &metav1.StatusDetails{RetryAfterSeconds: int32(max(1, seconds(e.RetryAfter)))}
		return s
	},
	registry.NotAllowed: func(e *registry.Error, gr kschema.GroupResource) *apierrors.StatusError {
		s := apierrors.NewMethodNotSupported(gr, "create")
		s.ErrStatus.Message = e.Reason
		return s
	},
	registry.BadRevision: func(e *registry.Error, _ kschema.GroupResource) *apierrors.StatusError {
		return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: http.StatusInternalServerError, Message: e.Reason}}
	},
	registry.Misconfigured: func(e *registry.Error, _ kschema.GroupResource) *apierrors.StatusError {
		return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: http.StatusInternalServerError, Message: e.Reason}}
	},
	registry.Unreadable: func(e *registry.Error, gr kschema.GroupResource) *apierrors.StatusError {
		s := apierrors.NewInternalError(fmt.Errorf("%s %q cannot be read: %s", gr, e.Name, text(e, "its value in etcd is under quarantine")))
		s.ErrStatus.Reason = metav1.StatusReasonStoreReadError
		return s
	},
	registry.Timeout: func(e *registry.Error, _ kschema.GroupResource) *apierrors.StatusError {
		reason := text(e, "request did not complete within the allotted timeout")
		s := apierrors.NewTimeoutError(reason, seconds(e.RetryAfter))
		if strings.HasPrefix(reason, futureRevision) {
			s.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: metav1.CauseTypeResourceVersionTooLarge, Message: futureRevision}}
			s.ErrStatus.Details.RetryAfterSeconds = 1
		}
		return s
	},
}

const (
	Modified       = "the object has been modified; please apply your changes to the latest version and try again"
	TooMany        = "Too many requests, please try again later."
	futureRevision = "Too large resource version"
)

// StatusOf is any error as Kubernetes answers it. It never returns nil.
func StatusOf(err error) *metav1.Status {
	var api *apierrors.StatusError
	var reg *registry.Error
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &api):
	case errors.As(err, &reg) && statuses[reg.Kind] != nil:
		api = statuses[reg.Kind](reg, kschema.GroupResource{Group: reg.Group, Resource: reg.Resource})
		addCauses(api, reg.Causes)
	case errors.As(err, &large):
		api = apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("limit is %d", large.Limit))
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		api = apierrors.NewTimeoutError(fmt.Sprintf("request did not complete within requested timeout - %v", context.DeadlineExceeded), 0)
	default:
		api = apierrors.NewInternalError(err)
	}
	s := api.ErrStatus
	s.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	return &s
}

// addCauses puts the causes that a rule of admission told before those of fields.
func addCauses(s *apierrors.StatusError, causes []metav1.StatusCause) {
	if len(causes) == 0 {
		return
	}
	if s.ErrStatus.Details == nil {
		s.ErrStatus.Details = &metav1.StatusDetails{}
	}
	s.ErrStatus.Details.Causes = append(slices.Clone(causes), s.ErrStatus.Details.Causes...)
}

// text is the error's own text, its cause's, or the general one.
func text(e *registry.Error, general string) string {
	switch {
	case e.Reason != "":
		return e.Reason
	case e.Cause != nil:
		return e.Cause.Error()
	}
	return general
}

func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// Error writes err as a Status, in the media type that the client accepts.
func Error(log *slog.Logger, w http.ResponseWriter, r *request.Request, err error) {
	r.Shape = request.NegotiateError(r)
	s := StatusOf(inGroupOf(r, err))
	if s.Details != nil && s.Details.RetryAfterSeconds > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(s.Details.RetryAfterSeconds)))
	}
	w.Header().Del("ETag")
	w.Header().Del("Content-Type")
	if s.Code >= http.StatusInternalServerError && s.Reason == metav1.StatusReasonInternalError {
		log.Error("request failed", "verb", r.Verb, "path", r.Path, "err", err)
	}
	if err := Object(w, r, int(s.Code), s); err != nil {
		log.Debug("response not written", "path", r.Path, "err", err)
	}
}

// inGroupOf is err about the resource as the request names it: a kind may be served in another group than the one it is stored in. What is
// wrong with an object is told of the kind as it is stored.
func inGroupOf(r *request.Request, err error) error {
	var reg *registry.Error
	if r.Resource == nil || r.Resource.Version.Group == r.Kind.Group || !errors.As(err, &reg) || reg.Kind == registry.Invalid || reg.Group != r.Kind.Group || reg.Resource != r.Kind.Plural {
		return err
	}
	asked := *reg
	asked.Group = r.Resource.Version.Group
	return &asked
}
