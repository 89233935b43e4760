package customresource

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"

	"gantry/schema"
)

// converted is the kind of widgets whose webhook gives an answer: text in which UID stands for the uid of the request.
func converted(t *testing.T, answer string, asked *[]string) *schema.Kind {
	t.Helper()
	d := read(t, widgets)
	d.Spec.Conversion = &apiextensionsv1.CustomResourceConversion{Strategy: apiextensionsv1.WebhookConverter, Webhook: &apiextensionsv1.WebhookConversion{
		ClientConfig: &apiextensionsv1.WebhookClientConfig{URL: ptr.To("https://example.com")}, ConversionReviewVersions: []string{"v1"},
	}}
	k, err := Kind(d, func(_ context.Context, to *apiextensionsv1.WebhookClientConfig, body []byte) ([]byte, error) {
		if answer == "" {
			return nil, errors.New("connection refused")
		}
		var review apiextensionsv1.ConversionReview
		if err := json.Unmarshal(body, &review); err != nil || *to.URL != "https://example.com" {
			t.Error(err, to)
		}
		for _, in := range review.Request.Objects {
			*asked = append(*asked, string(in.Raw))
		}
		return []byte(strings.ReplaceAll(answer, "UID", string(review.Request.UID))), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func unread(t *testing.T, text string) schema.Object {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := json.Unmarshal([]byte(text), &u.Object); err != nil {
		t.Fatal(err)
	}
	return u
}

const (
	success = `{"apiVersion":"apiextensions.k8s.io/v1","kind":"ConversionReview","response":{"uid":"UID","result":{"status":"Success"},"convertedObjects":[`
	inOld   = `{"apiVersion":"example.com/v1alpha1","kind":"Widget","metadata":{"name":"a","namespace":"n","uid":"u"`
	inV1    = `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"a","namespace":"n","uid":"u"`
)

func TestWebhookAnswers(t *testing.T) {
	const about = "conversion webhook for example.com/v1, Kind=Widget "
	for name, tt := range map[string]struct{ answer, want, fails string }{
		"labels and annotations may change": {success + inOld + `,"labels":{"l":"2"},"finalizers":["x/y"],"generation":7},"spec":{"colour":"red","unknown":1}}]}}`,
			inOld + `,"labels":{"l":"2"},"resourceVersion":"5"},"spec":{"colour":"red"}}`, ""},
		"no answer":         {"", "", about + "failed: connection refused"},
		"no review":         {"[]", "", about + "failed: json: cannot unmarshal array into Go value of type v1.ConversionReview"},
		"another kind":      {`{"kind":"Status","apiVersion":"v1"}`, "", about + "failed: expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got /v1, Kind=Status"},
		"no response":       {`{"apiVersion":"apiextensions.k8s.io/v1","kind":"ConversionReview"}`, "", about + "failed: no response provided"},
		"another uid":       {strings.Replace(success, "UID", "x", 1) + `]}}`, "", about + `failed: expected response.uid="`},
		"a failure":         {strings.Replace(success, `"Success"`, `"Failure","message":"no way"`, 1) + `]}}`, "", about + "failed: no way"},
		"an unsaid failure": {strings.Replace(success, `Success`, ``, 1) + `]}}`, "", about + "failed: response.result.status was '', not 'Success'"},
		"too few":           {success + `]}}`, "", about + "returned 0 objects, expected 1"},
		"no object":         {success + `null]}}`, "", about + "returned invalid object at index 0: "},
		"another version":   {success + inV1 + `}}]}}`, "", about + "returned invalid object at index 0: invalid groupVersion (expected example.com/v1alpha1, received example.com/v1)"},
		"another kind of object": {success + strings.Replace(inOld, "Widget", "Gadget", 1) + `}}]}}`, "",
			about + "returned invalid object at index 0: invalid kind (expected Widget, received Gadget)"},
		"another name":       {success + strings.Replace(inOld, `"a"`, `"b"`, 1) + `}}]}}`, "", about + "returned invalid object: must have the same name: a != b"},
		"another namespace":  {success + strings.Replace(inOld, `"n"`, `"m"`, 1) + `}}]}}`, "", about + "returned invalid object: must have the same namespace: n != m"},
		"another object uid": {success + strings.Replace(inOld, `"u"`, `"v"`, 1) + `}}]}}`, "", about + "returned invalid object: must have the same UID: u != v"},
		"labels of no text":  {success + inOld + `,"labels":{"l":1}}}]}}`, "", about + "returned invalid metadata: metadata.labels[l] must be a string, but is int64 in converted object"},
		"no labels":          {success + inOld + `,"labels":[]}}]}}`, "", about + "returned invalid metadata: invalid metadata.labels of type []interface {} in converted object"},
		"a wrong label":      {success + inOld + `,"labels":{"l":"-"}}}]}}`, "", about + `returned invalid metadata: metadata.labels: Invalid value: "-": `},
	} {
		t.Run(name, func(t *testing.T) {
			k := converted(t, tt.answer, new([]string))
			in := unread(t, inV1+`,"resourceVersion":"5","labels":{"l":"1"},"annotations":{"a":"1"}}}`)
			out, err := schema.FromStored(t.Context(), k, k.Versions[0], []schema.Object{in})
			if tt.fails != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tt.fails) {
					t.Errorf("%v\nwant %s", err, tt.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(unread(t, tt.want), out[0]); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Objects that are in the wanted version are not sent, and what is returned takes the places of the others.
func TestMixedList(t *testing.T) {
	named := func(text, name string) string { return strings.Replace(text, `"a"`, `"`+name+`"`, 1) + `}}` }
	var asked []string
	k := converted(t, success+named(inV1, "a")+","+named(inV1, "c")+`]}}`, &asked)
	if !k.AsWritten || k.Versions[0].Version != "v1alpha1" || k.RulesOf(k.Versions[0]) == k {
		t.Fatal("the kind has no version to convert from")
	}
	in := []schema.Object{unread(t, named(inOld, "a")), unread(t, named(inV1, "b")), unread(t, named(inOld, "c"))}
	out, err := schema.ToStored(t.Context(), k, k.Versions[0], in)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, obj := range out {
		names = append(names, obj.(*unstructured.Unstructured).GetAPIVersion()+" "+obj.GetName())
	}
	if want := []string{"example.com/v1 a", "example.com/v1 b", "example.com/v1 c"}; !slices.Equal(names, want) || len(asked) != 2 {
		t.Errorf("%q of %q", names, asked)
	}
	if _, err := schema.ToStored(t.Context(), k, k.Versions[0], in[:2]); err == nil || err.Error() != "conversion webhook for example.com/v1, Kind=Widgets returned 2 objects, expected 1" {
		t.Error(err)
	}
	k = converted(t, success+named(inV1, "c")+","+named(inV1, "a")+`]}}`, &asked)
	const want = "conversion webhook for example.com/v1, Kind=Widgets returned invalid converted object at index 0: must have the same name: a != c"
	if _, err := schema.ToStored(t.Context(), k, k.Versions[0], in); err == nil || err.Error() != want {
		t.Error(err)
	}
}
