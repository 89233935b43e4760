package webhooks

import (
	"context"
	"errors"
	"log/slog"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	admissionv1 "k8s.io/api/admissionregistration/v1"

	"gantry/registry/admit"
	"gantry/registry/admit/match"
	"gantry/schema"
)

// Failure is a webhook that gave no answer.
type Failure struct {
	// Kind is the kind of the configuration that has the webhook, Configuration its state, read-only.
	Kind          string
	Configuration schema.Object
	Webhook       string
	// Refused tells that the write was refused, by the failure policy.
	Refused bool
	Err     error
}

// The metrics have Kubernetes' names.
var (
	failOpen = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "apiserver_admission_webhook_fail_open_count",
		Help: "Writes that went on although a webhook had failed.",
	}, []string{"name", "type"})
	rejections = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "apiserver_admission_webhook_rejection_count",
		Help: "Writes that webhooks have refused, and those that were refused as a webhook had failed.",
	}, []string{"name", "type", "operation", "error_type", "rejection_code"})
)

// failed decides what a webhook that gave no answer means for the write: nil, it goes on.
func (c *calls) failed(ctx context.Context, q *admit.Request, h *hook, err error) error {
	var noAnswer *callError
	var rejected *admit.Rejected
	if errors.As(err, &rejected) {
		c.countRejection(q, h, "no_error", rejected.Status.Code)
	}
	if !errors.As(err, &noAnswer) {
		return err
	}
	ignored := h.FailurePolicy != nil && *h.FailurePolicy == admissionv1.Ignore
	if ctx.Err() == nil && c.report != nil { // otherwise it may be the request that has ended
		c.report(Failure{Kind: c.configured, Configuration: h.of, Webhook: h.Name, Refused: !ignored, Err: noAnswer.err})
	}
	switch {
	case !ignored:
		c.countRejection(q, h, "calling_webhook_error", 0)
		return match.InternalError(noAnswer)
	case ctx.Err() != nil:
		return ctx.Err()
	}
	failOpen.WithLabelValues(h.Name, c.hooks.kind).Inc()
	slog.WarnContext(ctx, "webhook failed, the write goes on", "webhook", h.Name, "err", noAnswer.err)
	return nil
}

func (c *calls) countRejection(q *admit.Request, h *hook, errorType string, code int32) {
	rejections.WithLabelValues(h.Name, c.hooks.kind, string(q.Operation), errorType, strconv.Itoa(int(min(code, 600)))).Inc()
}
