package admit

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Denied is a refusal: 403 Forbidden.
type Denied struct {
	Reason string
	Causes []metav1.StatusCause
}

func (d *Denied) Error() string { return d.Reason }

func denied(format string, args ...any) error {
	return &Denied{Reason: fmt.Sprintf(format, args...)}
}

// TooMany is a refusal that may be none later: 429 Too Many Requests.
type TooMany struct {
	Reason string
	Causes []metav1.StatusCause
	// RetryAfter is when; 0 does not tell.
	RetryAfter time.Duration
}

func (t *TooMany) Error() string { return t.Reason }

// Misconfigured is a write that other objects leave without an answer until they are changed: 500.
type Misconfigured struct{ Reason string }

func (m *Misconfigured) Error() string { return m.Reason }

// Missing is an object that the write needs and that does not exist: 404 Not Found, about that object.
type Missing struct{ Group, Resource, Kind, Name string }

func (m *Missing) Error() string { return fmt.Sprintf("%s %q not found", m.Resource, m.Name) }

// Invalid is an object with field errors: 422.
type Invalid struct{ Errs field.ErrorList }

func (i *Invalid) Error() string { return i.Errs.ToAggregate().Error() }

// Rejected is a refusal whose answer is complete: a webhook's or a policy's.
type Rejected struct{ Status metav1.Status }

func (r *Rejected) Error() string { return r.Status.Message }
