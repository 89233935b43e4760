package gateway

import (
	"cmp"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// The media types spoken.
const (
	jsonType = "application/json"
	yamlType = "application/yaml"
	// protobufType is how client-go 0.32 and later, and so kubectl, send the bodies of built-in kinds. Answers are JSON,
	// which those clients list after it.
	protobufType = runtime.ContentTypeProtobuf
)

// shape is how an answer is to look.
type shape struct {
	yaml   bool
	pretty bool
	// as is "", "Table", "PartialObjectMetadata" or "PartialObjectMetadataList"; version is that of meta.k8s.io.
	as, version string
}

// contentType is the answer's media type.
func (s shape) contentType() string {
	if s.yaml {
		return yamlType
	}
	return jsonType
}

// clause is one media range of an Accept header.
type clause struct {
	media  string
	params map[string]string
	q      float64
}

// parseAccept splits an Accept header, best first; an unreadable clause is left out.
func parseAccept(header []string) []clause {
	var out []clause
	for _, part := range strings.Split(strings.Join(header, ","), ",") {
		media, params, err := mime.ParseMediaType(strings.TrimSpace(part))
		if err != nil {
			continue
		}
		q := 1.0
		if v, err := strconv.ParseFloat(params["q"], 64); err == nil {
			q = v
		}
		out = append(out, clause{media, params, q})
	}
	slices.SortStableFunc(out, func(a, b clause) int { return cmp.Compare(b.q, a.q) })
	return out
}

// negotiate picks how to answer: the first clause that can be served. streaming: the answer is a stream of events,
// which YAML has no form for.
func negotiate(req *http.Request, pretty bool, as func(shape) bool, streaming bool) (shape, error) {
	header := req.Header.Values("Accept")
	if len(header) == 0 || header[0] == "" {
		return shape{pretty: pretty}, nil
	}
	if len(header) == 1 && plainAccept(header[0]) {
		return shape{pretty: pretty}, nil
	}
	for _, c := range parseAccept(header) {
		s := shape{pretty: pretty || c.params["pretty"] == "1", as: c.params["as"], version: c.params["v"]}
		switch c.media {
		case jsonType, "application/*", "*/*":
		case yamlType, "text/yaml", "application/x-yaml":
			s.yaml = true
		default:
			continue
		}
		if s.as == "" {
			s.version = ""
		} else if c.params["g"] != metav1.GroupName || !as(s) {
			continue
		}
		if c.params["as"] == "" && c.params["g"] != "" || s.yaml && streaming {
			continue
		}
		return s, nil
	}
	return shape{}, notAcceptable(jsonType, yamlType)
}

// plainAccept knows what Go clients say when they take JSON: parsing it costs a quarter of a GET.
func plainAccept(header string) bool {
	switch header {
	case jsonType, jsonType + ", */*", jsonType + ",*/*", "*/*", protobufType + "," + jsonType, protobufType + ", " + jsonType:
		return true
	}
	return false
}

// resourceShapes tells which shapes an object (list: a list of them) is served in.
func resourceShapes(list bool) func(shape) bool {
	return func(s shape) bool {
		switch s.as {
		case "Table":
			return s.version == "v1" || s.version == "v1beta1"
		case "PartialObjectMetadata":
			return !list && (s.version == "v1" || s.version == "v1beta1")
		case "PartialObjectMetadataList":
			return list && (s.version == "v1" || s.version == "v1beta1")
		}
		return false
	}
}

// wantsPretty tells whether a person seems to read the answer: asked for, or the client is a browser or curl.
func wantsPretty(r *request) bool {
	if v, ok := r.query["pretty"]; ok && len(v) > 0 {
		on, err := strconv.ParseBool(v[0])
		return err == nil && on
	}
	if r.door {
		return false // the key's value is shown as it is stored
	}
	agent := r.UserAgent()
	return strings.HasPrefix(agent, "curl") || strings.HasPrefix(agent, "Wget") || strings.HasPrefix(agent, "Mozilla/5.0")
}

// notAcceptable is the answer to an Accept header that nothing fits.
func notAcceptable(accepted ...string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusNotAcceptable, Reason: metav1.StatusReasonNotAcceptable,
		Message: "only the following media types are accepted: " + strings.Join(accepted, ", "),
	}}
}
