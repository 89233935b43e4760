package gateway_test

import (
	"context"
	"strings"
	"testing"

	"gantry/agents/gateway/gatewaytest"
	"gantry/registry"
)

func TestComponentStatuses(t *testing.T) {
	c := gatewaytest.New(t)
	leading := make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- c.Registry.Lead(ctx, "scheduler", "me", func(ctx context.Context, _ *registry.Registry) error {
			close(leading)
			<-ctx.Done()
			return nil
		})
	}()
	<-leading
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	const path = "/api/v1/componentstatuses"
	for _, tt := range []struct {
		path, accept string
		code         int
		want         string
	}{
		{path, "application/json", 200, `{"kind":"ComponentStatusList","apiVersion":"v1","metadata":{},"items":[` +
			`{"kind":"ComponentStatus","apiVersion":"v1","metadata":{"name":"controller-manager"},"conditions":[{"type":"Healthy","status":"False","error":"no process leads"}]},` +
			`{"kind":"ComponentStatus","apiVersion":"v1","metadata":{"name":"etcd-0"},"conditions":[{"type":"Healthy","status":"True","message":"ok"}]},` +
			`{"kind":"ComponentStatus","apiVersion":"v1","metadata":{"name":"scheduler"},"conditions":[{"type":"Healthy","status":"True","message":"ok"}]}]}`},
		{path + "/etcd-0", "application/json", 200, `{"kind":"ComponentStatus","apiVersion":"v1","metadata":{"name":"etcd-0"},"conditions":[{"type":"Healthy","status":"True","message":"ok"}]}`},
		{path + "?labelSelector=a", "application/json", 200, `{"kind":"ComponentStatusList","apiVersion":"v1","metadata":{},"items":[]}`},
		{path + "?fieldSelector=metadata.name=scheduler", "application/json;as=Table;g=meta.k8s.io;v=v1", 200, `"rows":[{"cells":["scheduler","Healthy","ok",""],`},
		{path + "/x", "application/json", 404, `componentstatus \"x\" not found`},
		{path + "?watch=1", "application/json", 405, "MethodNotAllowed"},
	} {
		got := c.As("GET", tt.path, "", "Accept: "+tt.accept)
		if got.Code != tt.code || !strings.Contains(got.Body, tt.want) {
			t.Errorf("%s: %d\n%s\nwant %d\n%s", tt.path, got.Code, got.Body, tt.code, tt.want)
		}
		if warning := got.Header.Get("Warning"); got.Code == 200 && warning != `299 - "v1 ComponentStatus is deprecated in v1.19+"` {
			t.Errorf("%s: warning %q", tt.path, warning)
		}
	}
}
