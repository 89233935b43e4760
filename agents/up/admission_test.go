package up

import (
	"errors"
	"fmt"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry/admit/webhooks"
)

func TestAWebhookThatFailsIsOneSeriesOfEvents(t *testing.T) {
	var w webhookFailures
	config := &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "c", UID: "1"}}
	start := time.Now()
	texts := map[string]int{}
	for second := range 600 { // a failure a second, each with a port of its own
		f := webhooks.Failure{Configuration: config, Webhook: "w", Refused: true, Err: fmt.Errorf("reading from port %d", second)}
		if text, due := w.textOf(f, start.Add(time.Duration(second)*time.Second)); due {
			texts[text]++
		}
	}
	if len(texts) != 1 || texts["reading from port 0"] != 60 {
		t.Errorf("events by text: %v, want 60 of the first", texts)
	}
	other := webhooks.Failure{Configuration: config, Webhook: "other", Err: errors.New("closed")}
	if text, due := w.textOf(other, start.Add(time.Second)); text != "closed" || !due {
		t.Errorf("another webhook's text %q, due %v", text, due)
	}
	again := webhooks.Failure{Configuration: config, Webhook: "w", Refused: true, Err: errors.New("certificate expired")}
	if text, due := w.textOf(again, start.Add(failureSeries)); text != "certificate expired" || !due {
		t.Errorf("after the series: %q, due %v", text, due)
	}
}
