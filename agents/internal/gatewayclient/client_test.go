package gatewayclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/kinds"
)

// fakeGateway has one config map, which a PUT replaces only at the current revision.
type fakeGateway struct {
	mu       sync.Mutex
	revision int
	data     string
	log      []string
}

func (s *fakeGateway) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, req.Method+" "+req.URL.RequestURI())
	switch req.Method {
	case "PUT":
		body := new(strings.Builder)
		if _, err := fmt.Fprint(body, read(req)); err != nil {
			panic(err)
		}
		item, err := registry.NewItem(core.ConfigMap, []byte(body.String()))
		if err != nil {
			http.Error(w, err.Error(), 400)
			return
		}
		if item.Revision != int64(s.revision) {
			w.WriteHeader(409)
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Conflict","message":"Operation cannot be fulfilled","details":{"name":"m"},"code":409}`)
			return
		}
		s.revision++
		s.data = item.Object().(*corev1.ConfigMap).Data["n"]
	case "DELETE":
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Success"}`)
		return
	}
	fmt.Fprintf(w, `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"m","namespace":"ns","uid":"1","resourceVersion":"%d"},"data":{"n":%q}}`, s.revision, s.data)
}

func read(req *http.Request) string {
	b := make([]byte, req.ContentLength)
	n := 0
	for n < len(b) {
		m, err := req.Body.Read(b[n:])
		n += m
		if err != nil {
			break
		}
	}
	return string(b[:n])
}

func serve(t *testing.T, h http.Handler) (*httptest.Server, *tls.Config) {
	t.Helper()
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	return s, s.Client().Transport.(*http.Transport).TLSClientConfig
}

func TestModify(t *testing.T) {
	gw := &fakeGateway{revision: 5, data: "a"}
	s, conf := serve(t, gw)
	c := New([]string{s.URL}, conf, kinds.New(), "test")
	add := func(current schema.Object) (schema.Object, error) {
		current.(*corev1.ConfigMap).Data["n"] += "x"
		return current, nil
	}
	item, err := c.Modify(t.Context(), core.ConfigMap, "ns", "m", add, registry.WriteOptions{Subresource: "status"})
	if err != nil || item.Revision != 6 {
		t.Fatalf("got %v %v, want revision 6", item, err)
	}
	gw.mu.Lock()
	gw.revision, gw.data, gw.log = 9, "b", nil // another client's write
	gw.mu.Unlock()
	if item, err = c.Modify(t.Context(), core.ConfigMap, "ns", "m", add, registry.WriteOptions{}); err != nil || item.Revision != 10 {
		t.Fatalf("got %v %v, want revision 10", item, err)
	}
	if got, want := item.Object().(*corev1.ConfigMap).Data["n"], "bx"; got != want {
		t.Errorf("the other client's write is lost: got %q, want %q", got, want)
	}
	const path = "/api/v1/namespaces/ns/configmaps/m"
	if diff := cmp.Diff([]string{"PUT " + path, "GET " + path, "PUT " + path}, gw.log); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	gw.log = nil
	if _, err := c.Modify(t.Context(), core.ConfigMap, "ns", "m", func(o schema.Object) (schema.Object, error) { return o, nil }, registry.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"GET " + path}, gw.log); diff != "" {
		t.Errorf("an unchanged object was not compared with the newest (-want +got):\n%s", diff)
	}
}

func TestFailOver(t *testing.T) {
	gw := &fakeGateway{revision: 1}
	s, conf := serve(t, gw)
	dead, _ := serve(t, gw)
	dead.Close()
	c := New([]string{dead.URL, s.URL}, conf, kinds.New(), "test")
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "m", Namespace: "ns", ResourceVersion: "1"}}
	if _, err := c.Update(t.Context(), core.ConfigMap, m, registry.WriteOptions{}); err != nil {
		t.Fatalf("the second gateway got no request: %v", err)
	}
	if _, gone, err := c.Delete(t.Context(), core.ConfigMap, "ns", "m", registry.DeleteOptions{}); err != nil || !gone {
		t.Errorf("got gone %v, %v", gone, err)
	}
	if c.current.Load() != 1 {
		t.Error("the client does not keep the gateway that answers")
	}
	alone := New([]string{dead.URL}, conf, kinds.New(), "test")
	if _, err := alone.Get(t.Context(), core.ConfigMap, "ns", "m", ""); !errors.Is(err, registry.Unavailable) {
		t.Errorf("no gateway: got %v, want Unavailable", err)
	}
}

// TestUnknownOutcome checks that a write whose connection breaks has an unknown outcome and is not sent twice.
func TestUnknownOutcome(t *testing.T) {
	var calls atomic.Int32
	s, conf := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		calls.Add(1)
		panic(http.ErrAbortHandler)
	}))
	c := New([]string{s.URL, s.URL}, conf, kinds.New(), "test")
	_, err := c.Create(t.Context(), core.ConfigMap, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "m", Namespace: "ns"}}, registry.WriteOptions{})
	var e *registry.Error
	if !errors.As(err, &e) || e.Kind != registry.Timeout || !e.UnknownOutcome {
		t.Errorf("got %v, want a Timeout of unknown outcome", err)
	}
	if calls.Load() != 1 {
		t.Errorf("the write was sent %d times, want once", calls.Load())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Get(ctx, core.ConfigMap, "ns", "m", ""); !errors.Is(err, registry.Timeout) {
		t.Errorf("a cancelled read: got %v, want Timeout", err)
	}
}

func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		code int
		body string
		want registry.ErrorKind
		text string
	}{
		{404, `{"kind":"Status","reason":"NotFound","message":"configmaps \"m\" not found"}`, registry.NotFound, `configmaps "m" not found: configmaps "m" not found`},
		{409, `{"kind":"Status","reason":"AlreadyExists","message":"there"}`, registry.Exists, `configmaps "m" already exists: there`},
		{422, `{"kind":"Status","reason":"Invalid","message":"bad","details":{"causes":[{"reason":"FieldValueRequired","message":"Required value","field":"spec.x"}]}}`, registry.Invalid, `configmaps "m" invalid: bad`},
		{403, `{"kind":"Status","reason":"Forbidden","message":"no"}`, registry.Forbidden, `configmaps "m" forbidden: no`},
		{401, `{"kind":"Status","reason":"Unauthorized","message":"Unauthorized"}`, registry.Forbidden, `configmaps "m" forbidden: Unauthorized`},
		{410, `{"kind":"Status","reason":"Expired","message":"old"}`, registry.Expired, `configmaps "m" expired: old`},
		{503, `busy`, registry.Unavailable, `configmaps "m" unavailable: the gateway answered 503 Service Unavailable: "busy"`},
		{302, ``, registry.BadRequest, `configmaps "m" bad request: the gateway answered 302 Found: ""`},
	} {
		s, conf := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://example.com/")
			w.WriteHeader(tt.code)
			fmt.Fprint(w, tt.body)
		}))
		_, err := New([]string{s.URL}, conf, kinds.New(), "test").Get(t.Context(), core.ConfigMap, "ns", "m", "")
		if !errors.Is(err, tt.want) || err.Error() != tt.text {
			t.Errorf("%d %s: got %v, want %s", tt.code, tt.body, err, tt.text)
		}
	}
}

func TestToken(t *testing.T) {
	s, conf := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != "POST" || req.URL.Path != "/api/v1/namespaces/ns/serviceaccounts/sa/token" {
			t.Errorf("asked %s %s", req.Method, req.URL)
		}
		fmt.Fprint(w, `{"kind":"TokenRequest","apiVersion":"authentication.k8s.io/v1","status":{"token":"abc"}}`)
	}))
	out, err := New([]string{s.URL}, conf, kinds.New(), "test").Token(t.Context(), "ns", "sa", &authenticationv1.TokenRequest{})
	if err != nil || out.Status.Token != "abc" {
		t.Errorf("got %v %v", out, err)
	}
}
