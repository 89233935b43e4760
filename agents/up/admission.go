package up

import (
	"context"
	"errors"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/agents/internal/events"
	"gantry/registry"
	"gantry/registry/admit/webhooks"
	"gantry/schema/core"
)

// createNamespace creates a namespace as the process itself, unless it exists.
func createNamespace(ctx context.Context, reg *registry.Registry, name string) error {
	ctx = registry.WithUser(ctx, &authenticationv1.UserInfo{})
	_, err := reg.Create(ctx, core.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, registry.WriteOptions{})
	if errors.Is(err, registry.Exists) {
		return nil
	}
	return err
}

// How often a webhook that fails is recorded, and how long the Events of one have the text of its first failure: errors may hold times and ports,
// and each text is an Event of its own.
const (
	failureEvery  = 10 * time.Second
	failureSeries = 10 * time.Minute
	maxFailures   = 1024 // webhooks that are remembered
)

// webhookFailures records webhooks that fail as Events of their configurations. The zero value is ready.
type webhookFailures struct {
	mu   sync.Mutex
	seen map[failing]*failureText
}

// failing is a webhook and what its failure means.
type failing struct {
	configuration types.UID
	webhook       string
	refused       bool
}

// failureText is the text of a series of Events.
type failureText struct {
	text        string
	since, last time.Time
}

func (w *webhookFailures) record(recorder *events.Recorder, f webhooks.Failure, now time.Time) {
	text, due := w.textOf(f, now)
	if !due {
		return
	}
	effect := "Writes that it is for go on without it"
	if f.Refused {
		effect = "Writes that it is for are refused"
	}
	recorder.Ref(corev1.ObjectReference{
		APIVersion: "admissionregistration.k8s.io/v1", Kind: f.Kind, Name: f.Configuration.GetName(), UID: f.Configuration.GetUID(),
		ResourceVersion: f.Configuration.GetResourceVersion(),
	}, corev1.EventTypeWarning, "FailedCallingWebhook", "Webhook %q gave no answer: %s. %s", f.Webhook, text, effect)
}

// textOf returns the text of the failure's Event; false: an Event was recorded a moment ago.
func (w *webhookFailures) textOf(f webhooks.Failure, now time.Time) (string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := failing{f.Configuration.GetUID(), f.Webhook, f.Refused}
	s := w.seen[key]
	if s == nil || now.Sub(s.since) >= failureSeries {
		if w.seen == nil || len(w.seen) >= maxFailures {
			w.seen = map[failing]*failureText{}
		}
		w.seen[key] = &failureText{f.Err.Error(), now, now}
		return f.Err.Error(), true
	}
	if now.Sub(s.last) < failureEvery {
		return "", false
	}
	s.last = now
	return s.text, true
}
