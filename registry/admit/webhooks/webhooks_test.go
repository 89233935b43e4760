package webhooks_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	reviewv1 "k8s.io/api/admission/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"gantry/registry"
	"gantry/registry/admit/webhooks"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/schema/admissionregistration"
	"gantry/schema/core"
	"gantry/schema/kinds"
)

// answers are webhooks by their URL: what they answer to a request.
type answers struct {
	t    *testing.T
	etcd *store.Fake
	mu   sync.Mutex
	hook map[string]func(*reviewv1.AdmissionRequest) (*reviewv1.AdmissionResponse, error)
	log  []string
}

func (a *answers) Post(_ context.Context, _ webhooks.Finder, to *admissionv1.WebhookClientConfig, body []byte) ([]byte, error) {
	var review reviewv1.AdmissionReview
	if err := json.Unmarshal(body, &review); err != nil {
		a.t.Errorf("a webhook is sent %s: %v", body, err)
	}
	q := review.Request
	a.mu.Lock()
	a.log = append(a.log, fmt.Sprintf("%s %s %s.%s %s/%s", *to.URL, q.Operation, q.Resource.Resource, q.SubResource, q.Namespace, q.Name))
	f := a.hook[*to.URL]
	a.mu.Unlock()
	r, err := f(q)
	if err != nil {
		return nil, err
	}
	r.UID = q.UID
	return json.Marshal(reviewv1.AdmissionReview{TypeMeta: review.TypeMeta, Response: r})
}

// called is which webhooks were called since it was asked last.
func (a *answers) called() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer func() { a.log = nil }()
	return a.log
}

func start(t *testing.T) (*registry.Registry, *answers) {
	a := &answers{t: t, etcd: store.NewFake(), hook: map[string]func(*reviewv1.AdmissionRequest) (*reviewv1.AdmissionResponse, error){}}
	r := registrytest.Run(t, registry.Config{Store: a.etcd, Kinds: kinds.New(), Webhooks: a})
	registrytest.Namespace(t, r, "default")
	return r, a
}

func allow(*reviewv1.AdmissionRequest) (*reviewv1.AdmissionResponse, error) {
	return &reviewv1.AdmissionResponse{Allowed: true}, nil
}

// patch answers with a JSON patch.
func patch(operations string) func(*reviewv1.AdmissionRequest) (*reviewv1.AdmissionResponse, error) {
	return func(*reviewv1.AdmissionRequest) (*reviewv1.AdmissionResponse, error) {
		return &reviewv1.AdmissionResponse{Allowed: true, Patch: []byte(operations), PatchType: ptr.To(reviewv1.PatchTypeJSONPatch)}, nil
	}
}

var everything = []admissionv1.RuleWithOperations{{
	Operations: []admissionv1.OperationType{"*"}, Rule: admissionv1.Rule{APIGroups: []string{"*"}, APIVersions: []string{"*"}, Resources: []string{"configmaps", "pods", "pods/*", "namespaces"}},
}}

func mutating(name string, change ...func(*admissionv1.MutatingWebhook)) admissionv1.MutatingWebhook {
	h := admissionv1.MutatingWebhook{
		Name: name + ".example.com", ClientConfig: admissionv1.WebhookClientConfig{URL: ptr.To("https://" + name)}, Rules: everything,
		SideEffects: ptr.To(admissionv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"},
	}
	for _, f := range change {
		f(&h)
	}
	return h
}

func validating(name string, change ...func(*admissionv1.ValidatingWebhook)) admissionv1.ValidatingWebhook {
	h := admissionv1.ValidatingWebhook{
		Name: name + ".example.com", ClientConfig: admissionv1.WebhookClientConfig{URL: ptr.To("https://" + name)}, Rules: everything,
		SideEffects: ptr.To(admissionv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"},
	}
	for _, f := range change {
		f(&h)
	}
	return h
}

func register(t *testing.T, r *registry.Registry, m []admissionv1.MutatingWebhook, v []admissionv1.ValidatingWebhook) {
	t.Helper()
	if m != nil {
		registrytest.Must(t)(r.Create(t.Context(), admissionregistration.MutatingWebhookConfiguration,
			&admissionv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "m"}, Webhooks: m}, registry.WriteOptions{}))
	}
	if v != nil {
		registrytest.Must(t)(r.Create(t.Context(), admissionregistration.ValidatingWebhookConfiguration,
			&admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "v"}, Webhooks: v}, registry.WriteOptions{}))
	}
	for _, k := range []string{"mutatingwebhookconfigurations", "validatingwebhookconfigurations"} { // the caches have them
		if _, err := r.List(t.Context(), r.Kinds().Set().Resource(admissionv1.GroupName, k), "", registry.ListOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

func create(t *testing.T, r *registry.Registry, name string) (*corev1.ConfigMap, error) {
	t.Helper()
	it, err := r.Create(t.Context(), core.ConfigMap, registrytest.ConfigMap(name), registry.WriteOptions{})
	if err != nil {
		return nil, err
	}
	return it.Object().(*corev1.ConfigMap), nil
}

// statusOf is the status that clients get.
func statusOf(err error) string {
	var s *apierrors.StatusError
	if !errors.As(err, &s) {
		return fmt.Sprint(err)
	}
	return fmt.Sprintf("%d %s %s", s.ErrStatus.Code, s.ErrStatus.Reason, s.ErrStatus.Message)
}

func TestWebhooksChangeAndRefuse(t *testing.T) {
	r, a := start(t)
	a.hook["https://first"] = patch(`[{"op":"add","path":"/data","value":{"first":"1"}}]`)
	a.hook["https://second"] = func(q *reviewv1.AdmissionRequest) (*reviewv1.AdmissionResponse, error) {
		if !strings.Contains(string(q.Object.Raw), `"first":"1"`) {
			t.Errorf("the second webhook does not see what the first has done: %s", q.Object.Raw)
		}
		return patch(`[{"op":"add","path":"/data/second","value":"2"}]`)(q)
	}
	a.hook["https://check"] = func(q *reviewv1.AdmissionRequest) (*reviewv1.AdmissionResponse, error) {
		res := &reviewv1.AdmissionResponse{Allowed: q.Name != "bad", Warnings: []string{"seen"}}
		if q.Name == "bad" {
			res.Result = &metav1.Status{Message: "it is bad", Code: 418, Reason: "Teapot"}
		}
		return res, nil
	}
	register(t, r, []admissionv1.MutatingWebhook{mutating("first"), mutating("second")}, []admissionv1.ValidatingWebhook{validating("check")})
	m, err := create(t, r, "good")
	if err != nil || m.Data["first"] != "1" || m.Data["second"] != "2" {
		t.Errorf("stored is %v, %v", m, err)
	}
	if got := a.called(); !slices.Equal(got, []string{
		"https://first CREATE configmaps. default/good", "https://second CREATE configmaps. default/good", "https://check CREATE configmaps. default/good",
	}) {
		t.Errorf("called: %q", got)
	}
	_, err = create(t, r, "bad")
	if got, want := statusOf(err), `418 Teapot admission webhook "check.example.com" denied the request: it is bad`; got != want {
		t.Errorf("refused with %s, want %s", got, want)
	}
	a.called()
	if _, _, err := r.Delete(t.Context(), core.ConfigMap, "default", "good", registry.DeleteOptions{}); err == nil {
		t.Error("a patch of a deletion is accepted")
	} else if got, want := statusOf(err), `500 InternalError Internal error occurred: admission webhook "first.example.com" attempted to modify the object, which is not supported for this operation`; got != want {
		t.Errorf("deleting: %s, want %s", got, want)
	}
}

func TestWebhookOfAnotherNamespaceOrLabelIsNotAsked(t *testing.T) {
	r, a := start(t)
	a.hook["https://ns"], a.hook["https://label"], a.hook["https://condition"] = allow, allow, allow
	register(t, r, nil, []admissionv1.ValidatingWebhook{
		validating("ns", func(h *admissionv1.ValidatingWebhook) {
			h.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": "shop"}}
		}),
		validating("label", func(h *admissionv1.ValidatingWebhook) {
			h.ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}
		}),
		validating("condition", func(h *admissionv1.ValidatingWebhook) {
			h.MatchConditions = []admissionv1.MatchCondition{{Name: "c", Expression: `object.metadata.name.startsWith("c") && request.userInfo.username == "bob"`}}
		}),
	})
	ctx := registry.WithUser(t.Context(), &authenticationv1.UserInfo{Username: "bob"})
	for _, name := range []string{"plain", "labelled", "condition"} {
		m := registrytest.ConfigMap(name)
		if name == "labelled" {
			m.Labels = map[string]string{"a": "b"}
		}
		registrytest.Must(t)(r.Create(ctx, core.ConfigMap, m, registry.WriteOptions{}))
	}
	if got := a.called(); !slices.Equal(got, []string{"https://label CREATE configmaps. default/labelled", "https://condition CREATE configmaps. default/condition"}) {
		t.Errorf("called: %q", got)
	}
}

func TestFailurePolicyDecides(t *testing.T) {
	r, a := start(t)
	a.hook["https://away"] = func(*reviewv1.AdmissionRequest) (*reviewv1.AdmissionResponse, error) {
		return nil, errors.New("nobody there")
	}
	ignore := admissionv1.Ignore
	register(t, r, []admissionv1.MutatingWebhook{mutating("away", func(h *admissionv1.MutatingWebhook) { h.FailurePolicy = &ignore })}, nil)
	if _, err := create(t, r, "a"); err != nil {
		t.Errorf("with Ignore: %v", err)
	}
	register(t, r, nil, []admissionv1.ValidatingWebhook{validating("away")})
	_, err := create(t, r, "b")
	if got, want := statusOf(err), `500 InternalError Internal error occurred: failed calling webhook "away.example.com": failed to call webhook: nobody there`; got != want {
		t.Errorf("with Fail: %s, want %s", got, want)
	}
	// The configurations themselves can always be removed.
	if _, _, err := r.Delete(t.Context(), admissionregistration.ValidatingWebhookConfiguration, "", "v", registry.DeleteOptions{}); err != nil {
		t.Error(err)
	}
}

// The API refuses such a webhook; in etcd it can be all the same.
func TestDryRunNeedsAWebhookWithoutSideEffects(t *testing.T) {
	r, a := start(t)
	a.hook["https://some"] = allow
	register(t, r, nil, []admissionv1.ValidatingWebhook{validating("some")})
	const key = "/registry/validatingwebhookconfigurations/v"
	kv, _, err := a.etcd.Get(t.Context(), key, 0)
	if err != nil {
		t.Fatal(err)
	}
	value := strings.Replace(string(kv.Value), `"sideEffects":"None"`, `"sideEffects":"Some"`, 1)
	if _, err := a.etcd.Commit(t.Context(), store.Txn{Puts: []store.Put{{Key: key, Value: []byte(value)}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.List(t.Context(), admissionregistration.ValidatingWebhookConfiguration, "", registry.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err = r.Create(t.Context(), core.ConfigMap, registrytest.ConfigMap("a"), registry.WriteOptions{DryRun: true})
	if got, want := statusOf(err), `400 BadRequest admission webhook "some.example.com" does not support dry run`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestWebhookIsCalledAgainAfterAChange(t *testing.T) {
	r, a := start(t)
	count := 0
	a.hook["https://watching"] = func(q *reviewv1.AdmissionRequest) (*reviewv1.AdmissionResponse, error) {
		count++
		return patch(fmt.Sprintf(`[{"op":"add","path":"/metadata/labels","value":{"turn":"%d"}}]`, count))(q)
	}
	a.hook["https://never"] = allow
	a.hook["https://adding"] = patch(`[{"op":"add","path":"/data","value":{"x":"y"}}]`)
	register(t, r, []admissionv1.MutatingWebhook{
		mutating("watching", func(h *admissionv1.MutatingWebhook) {
			h.ReinvocationPolicy = ptr.To(admissionv1.IfNeededReinvocationPolicy)
		}),
		mutating("never"), mutating("adding"),
	}, nil)
	m, err := create(t, r, "a")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"https://watching CREATE configmaps. default/a", "https://never CREATE configmaps. default/a", "https://adding CREATE configmaps. default/a",
		"https://watching CREATE configmaps. default/a",
	}
	if got := a.called(); !slices.Equal(got, want) || m.Labels["turn"] != "2" {
		t.Errorf("called %q, labels %v", got, m.Labels)
	}
}
