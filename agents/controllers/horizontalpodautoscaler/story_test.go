package horizontalpodautoscaler_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"gantry/agents/controllers"
	"gantry/agents/controllers/controllertest"
	"gantry/agents/controllers/horizontalpodautoscaler/metrics"
	"gantry/agents/internal/gatewayclient"
	"gantry/schema/apps"
	"gantry/schema/autoscaling"
	"gantry/schema/kinds"
)

const story = `apiVersion: apps/v1
kind: Deployment
metadata: {namespace: default, name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "web:1", resources: {requests: {memory: 100Mi}}}]}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {namespace: default, name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  maxReplicas: 5
  metrics: [{type: External, external: {metric: {name: queue}, target: {type: AverageValue, averageValue: "10"}}}]
`

// server answers the metrics APIs.
func server(t *testing.T, answers func(path string) string) *gatewayclient.Client {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := answers(r.URL.RequestURI())
		if body == "" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	return gatewayclient.New([]string{s.URL}, &tls.Config{}, kinds.New(), "test")
}

// A deployment grows by an external metric of a stub server; without the server it keeps its replicas and the status says why.
func TestDeploymentIsScaled(t *testing.T) {
	var asked atomic.Int32
	gateway := server(t, func(path string) string {
		asked.Add(1)
		if path != "/apis/external.metrics.k8s.io/v1beta1/namespaces/default/queue" {
			return ""
		}
		return `{"items": [{"value": "25"}]}`
	})
	c := controllertest.Start(t, func(cfg *controllers.Config) { cfg.Gateway = gateway })
	c.Ready()
	c.Apply(story)
	c.Until(func() string {
		d, _ := controllertest.Get[*appsv1.Deployment](c, "default", "web")
		if d == nil || d.Spec.Replicas == nil || *d.Spec.Replicas < 3 {
			return "three replicas"
		}
		a, _ := controllertest.Get[*autoscalingv2.HorizontalPodAutoscaler](c, "default", "web")
		if a == nil || a.Status.DesiredReplicas != 3 || a.Status.LastScaleTime == nil {
			return "the status of the autoscaler"
		}
		return ""
	}, apps.Deployment, autoscaling.HorizontalPodAutoscaler)
	if asked.Load() == 0 {
		t.Error("nobody asked for the metric")
	}
}

func TestWithoutGateway(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	c.Apply(story)
	c.Until(func() string {
		a, _ := controllertest.Get[*autoscalingv2.HorizontalPodAutoscaler](c, "default", "web")
		if a != nil {
			for _, cond := range a.Status.Conditions {
				if cond.Type == autoscalingv2.ScalingActive && cond.Status == corev1.ConditionFalse && cond.Reason == "FailedGetExternalMetric" {
					return ""
				}
			}
		}
		return "the condition that there are no metrics"
	}, autoscaling.HorizontalPodAutoscaler)
	if d, _ := controllertest.Get[*appsv1.Deployment](c, "default", "web"); d == nil || *d.Spec.Replicas != 1 {
		t.Errorf("the replicas changed: %+v", d)
	}
}

// TestMetricsAreRead checks what is asked for and what hostile answers make of it.
func TestMetricsAreRead(t *testing.T) {
	answers := map[string]string{
		"/apis/metrics.k8s.io/v1beta1/namespaces/default/pods?labelSelector=app%3Dweb": `{"items": [
			{"metadata": {"name": "a"}, "window": "15s", "containers": [{"name": "c", "usage": {"cpu": "100m"}}, {"name": "d", "usage": {"cpu": "1"}}]},
			{"metadata": {"name": "b"}, "window": "15s", "containers": [{"name": "c", "usage": {}}]}]}`,
		"/apis/custom.metrics.k8s.io":                                           `{"versions": [{"version": "v1beta1"}]}`,
		"/apis/custom.metrics.k8s.io/v1beta1/namespaces/default/services/s/rps": `{"items": [{"value": "1e-10000000"}]}`,
	}
	c := metrics.Client{Gateway: server(t, func(path string) string { return answers[path] })}
	web := labels.SelectorFromSet(labels.Set{"app": "web"})
	got, err := c.Resource(t.Context(), "cpu", "default", web, "")
	if err != nil || len(got) != 1 || got["a"].Value != 1100 {
		t.Errorf("of all containers: %v, %v", got, err)
	}
	if got, err = c.Resource(t.Context(), "cpu", "default", web, "c"); err != nil || got["a"].Value != 100 {
		t.Errorf("of one container: %v, %v", got, err)
	}
	if _, err := c.Object(t.Context(), "rps", "default", "services", "s", labels.Everything()); err == nil || !strings.Contains(err.Error(), "exponent") {
		t.Errorf("an amount without bounds: %v", err)
	}
	if _, err := c.External(t.Context(), "..", "default", labels.Everything()); err == nil || !strings.Contains(err.Error(), "invalid name") {
		t.Errorf("a name that leads elsewhere: %v", err)
	}
	const missing = "unable to fetch metrics from external metrics API: the server could not find the requested resource"
	if _, err := c.External(t.Context(), "none", "default", labels.Everything()); err == nil || err.Error() != missing {
		t.Errorf("an API that is not served: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.External(ended, "none", "default", labels.Everything()); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}
