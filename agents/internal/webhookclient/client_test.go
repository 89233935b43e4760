package webhookclient

import (
	"context"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"gantry/registry/admit"
	"gantry/schema"
)

// objects are a Service and its slices.
type objects struct {
	service *corev1.Service
	slices  []schema.Object
}

func (o objects) Find(context.Context, string, string, string, string) (admit.Found, error) {
	if o.service == nil {
		return admit.Found{}, nil
	}
	return admit.Found{Object: o.service}, nil
}

func (o objects) List(context.Context, string, string, string) ([]schema.Object, error) {
	return o.slices, nil
}

func TestPost(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/echo":
			_, _ = io.WriteString(w, r.URL.RawQuery+" "+string(body))
		case "/moved":
			http.Redirect(w, r, "/echo", http.StatusTemporaryRedirect)
		case "/hangs":
			<-r.Context().Done()
		default:
			http.Error(w, "no such path", http.StatusNotFound)
		}
	}))
	t.Cleanup(s.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, path string
		ca         []byte
		timeout    time.Duration
		want, fail string
	}{
		{"an answer", "/echo", ca, 0, "{}", ""},
		{"the time that is left", "/echo", ca, 9500 * time.Millisecond, "timeout=10s {}", ""},
		{"a redirect", "/moved", ca, 0, "", "responded with the status code 307"},
		{"an error", "/other", ca, 0, "", "the server could not find the requested resource"},
		{"no authority", "/echo", nil, 0, "", "certificate"},
		{"rubbish as authority", "/echo", []byte("x"), 0, "", "unable to load root certificates"},
		{"no answer", "/hangs", ca, 50 * time.Millisecond, "", "context deadline exceeded"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &Client{}
			ctx := t.Context()
			if tt.timeout > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, tt.timeout)
				defer cancel()
			}
			got, err := c.Post(ctx, objects{}, &admissionv1.WebhookClientConfig{URL: ptr.To(s.URL + tt.path), CABundle: tt.ca}, []byte("{}"))
			check(t, strings.TrimSpace(string(got)), err, tt.want, tt.fail)
		})
	}

	named := func(name string, ready bool, address string) schema.Object {
		return &discoveryv1.EndpointSlice{
			ObjectMeta:  metav1.ObjectMeta{Labels: map[string]string{discoveryv1.LabelServiceName: name}},
			AddressType: discoveryv1.AddressTypeIPv4,
			Ports:       []discoveryv1.EndpointPort{{Name: ptr.To("hook"), Port: ptr.To(int32(number))}},
			Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{address}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
		}
	}
	// The test's certificate is for example.com: a Service's name is checked.
	service := &corev1.Service{Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "hook", Port: 443}}}}
	for _, tt := range []struct {
		name string
		objects
		fail string
	}{
		{"its service does not exist", objects{}, `service "hook" not found`},
		{"no endpoint is ready", objects{service, []schema.Object{named("hook", false, "127.0.0.1"), named("other", true, "127.0.0.1")}}, `no endpoints available for service "hook"`},
		{"the certificate is for another name", objects{service, []schema.Object{named("hook", true, "127.0.0.1")}}, "not hook.shop.svc"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := (&Client{}).Post(t.Context(), tt.objects, &admissionv1.WebhookClientConfig{
				Service: &admissionv1.ServiceReference{Namespace: "shop", Name: "hook"}, CABundle: ca,
			}, nil)
			check(t, "", err, "", tt.fail)
		})
	}
}

func check(t *testing.T, got string, err error, want, fail string) {
	t.Helper()
	switch {
	case fail == "" && (err != nil || got != want):
		t.Errorf("%q, %v, want %q", got, err, want)
	case fail != "" && (err == nil || !strings.Contains(err.Error(), fail)):
		t.Errorf("error %v, want one with %q", err, fail)
	}
}
