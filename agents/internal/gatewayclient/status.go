package gatewayclient

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/registry"
)

// errorKinds maps Kubernetes' reasons to registry's kinds of error, as the gateway maps the kinds to reasons.
var errorKinds = map[metav1.StatusReason]registry.ErrorKind{
	metav1.StatusReasonNotFound:              registry.NotFound,
	metav1.StatusReasonAlreadyExists:         registry.Exists,
	metav1.StatusReasonConflict:              registry.Conflict,
	metav1.StatusReasonExpired:               registry.Expired,
	metav1.StatusReasonGone:                  registry.Expired,
	metav1.StatusReasonInvalid:               registry.Invalid,
	metav1.StatusReasonForbidden:             registry.Forbidden,
	metav1.StatusReasonUnauthorized:          registry.Forbidden,
	metav1.StatusReasonBadRequest:            registry.BadRequest,
	metav1.StatusReasonMethodNotAllowed:      registry.BadRequest,
	metav1.StatusReasonNotAcceptable:         registry.BadRequest,
	metav1.StatusReasonUnsupportedMediaType:  registry.BadRequest,
	metav1.StatusReasonTooManyRequests:       registry.TooManyRequests,
	metav1.StatusReasonRequestEntityTooLarge: registry.TooLarge,
	metav1.StatusReasonTimeout:               registry.Timeout,
	metav1.StatusReasonServerTimeout:         registry.Timeout,
	metav1.StatusReasonServiceUnavailable:    registry.Unavailable,
	metav1.StatusReasonStoreReadError:        registry.Unreadable,
}

// statusError returns the error in an answer. That of an answer without a Status depends on the status code.
func (cl call) statusError(resp *http.Response, data []byte) *registry.Error {
	var s metav1.Status
	if json.Unmarshal(data, &s) != nil || s.Kind != "Status" {
		const maxText = 200
		return cl.errorOf(kindOfCode(resp.StatusCode), fmt.Errorf("the gateway answered %s: %.*q", resp.Status, maxText, data))
	}
	kind, known := errorKinds[s.Reason]
	switch {
	case known:
	case s.Reason == "" && resp.StatusCode == http.StatusInternalServerError:
		kind = registry.BadRevision // the one Status of a 500 without a reason
	default:
		kind = kindOfCode(resp.StatusCode)
	}
	e := cl.errorOf(kind, errors.New(s.Message))
	e.Reason = s.Message
	e.UnknownOutcome = kind == registry.Timeout && cl.method != http.MethodGet
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		e.RetryAfter = time.Duration(n) * time.Second
	}
	if s.Details == nil {
		return e
	}
	if s.Details.Name != "" {
		e.Name = s.Details.Name
	}
	if kind == registry.Invalid {
		for _, c := range s.Details.Causes {
			e.Fields = append(e.Fields, &field.Error{Type: field.ErrorType(c.Type), Field: c.Field, Detail: c.Message, BadValue: field.OmitValueType{}})
		}
	}
	return e
}

func kindOfCode(code int) registry.ErrorKind {
	switch {
	case code == http.StatusNotFound:
		return registry.NotFound
	case code == http.StatusConflict:
		return registry.Conflict
	case code == http.StatusGone:
		return registry.Expired
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return registry.Forbidden
	case code == http.StatusTooManyRequests:
		return registry.TooManyRequests
	case code == http.StatusGatewayTimeout:
		return registry.Timeout
	case code >= 500:
		return registry.Unavailable
	}
	return registry.BadRequest
}

// isStatus reports whether an answer is a Status, not an object.
func isStatus(data []byte) bool {
	var head metav1.TypeMeta
	return json.Unmarshal(data, &head) == nil && head.Kind == "Status"
}
