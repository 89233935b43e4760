package customkinds

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// converter is a conversion webhook of Endpoints: v1 has spec.hostPort, v2 spec.host and spec.port. It refuses hosts that begin with "bad".
type converter struct {
	*httptest.Server

	mu      sync.Mutex // guards reviews
	reviews []string   // "v1 to v2, v1 to v2" of each request
}

func newConverter(t *testing.T) *converter {
	c := &converter{}
	c.Server = httptest.NewTLSServer(http.HandlerFunc(c.serve))
	t.Cleanup(c.Close)
	return c
}

func (c *converter) serve(w http.ResponseWriter, r *http.Request) {
	var review apiextensionsv1.ConversionReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer := &apiextensionsv1.ConversionResponse{UID: review.Request.UID, Result: metav1.Status{Status: metav1.StatusSuccess}}
	var steps []string
	for _, in := range review.Request.Objects {
		u := &unstructured.Unstructured{}
		err := json.Unmarshal(in.Raw, u)
		if err == nil {
			steps = append(steps, u.GroupVersionKind().Version+" to "+strings.TrimPrefix(review.Request.DesiredAPIVersion, "example.com/"))
			err = convertEndpoint(u, review.Request.DesiredAPIVersion)
		}
		if err != nil {
			answer.Result = metav1.Status{Status: metav1.StatusFailure, Message: err.Error()}
			break
		}
		answer.ConvertedObjects = append(answer.ConvertedObjects, runtime.RawExtension{Object: u})
	}
	c.mu.Lock()
	c.reviews = append(c.reviews, strings.Join(steps, ", "))
	c.mu.Unlock()
	review.Request, review.Response = nil, answer
	_ = json.NewEncoder(w).Encode(review)
}

func convertEndpoint(u *unstructured.Unstructured, to string) error {
	u.SetAPIVersion(to)
	spec, ok := u.Object["spec"].(map[string]any)
	if !ok {
		return nil
	}
	if to == "example.com/v1" {
		if host, _ := spec["host"].(string); strings.HasPrefix(host, "bad") {
			return errors.New("the host is bad")
		}
		u.Object["spec"] = map[string]any{"hostPort": fmt.Sprintf("%v:%v", spec["host"], spec["port"])}
		return nil
	}
	text, _ := spec["hostPort"].(string)
	host, port, ok := strings.Cut(text, ":")
	if !ok {
		return fmt.Errorf("%q is no host and port", text)
	}
	u.Object["spec"] = map[string]any{"host": host, "port": port}
	return nil
}

// asked are the requests since it was asked last.
func (c *converter) asked() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.reviews
	c.reviews = nil
	return all
}

// definition is that of Endpoints with this webhook, objects being stored in a version.
func (c *converter) definition(t *testing.T, storage string) string {
	t.Helper()
	d := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.Unmarshal([]byte(endpoints), d); err != nil {
		t.Fatal(err)
	}
	d.Spec.Conversion = &apiextensionsv1.CustomResourceConversion{Strategy: apiextensionsv1.WebhookConverter, Webhook: &apiextensionsv1.WebhookConversion{
		ClientConfig: &apiextensionsv1.WebhookClientConfig{
			URL: &c.URL, CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate().Raw}),
		},
		ConversionReviewVersions: []string{"v2", "v1"},
	}}
	for i := range d.Spec.Versions {
		d.Spec.Versions[i].Storage = d.Spec.Versions[i].Name == storage
	}
	text, err := yaml.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
