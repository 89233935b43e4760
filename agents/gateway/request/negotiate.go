package request

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

// The media types of objects.
const (
	JSONType = "application/json"
	YAMLType = "application/yaml"
	// ProtobufType is how client-go 0.32 and later, and so kubectl, send the bodies of built-in kinds. Answers are JSON,
	// which those clients list after it.
	ProtobufType = runtime.ContentTypeProtobuf
)

// Shape is the form of an answer.
type Shape struct {
	YAML   bool
	Pretty bool
	// As is "", "Table", "PartialObjectMetadata" or "PartialObjectMetadataList"; Version is that of meta.k8s.io.
	As, Version string
}

// ContentType is the answer's media type.
func (s Shape) ContentType() string {
	if s.YAML {
		return YAMLType
	}
	return JSONType
}

// clause is one media range of an Accept header.
type clause struct {
	Media  string
	Params map[string]string
	q      float64
}

// ParseAccept splits an Accept header, best first; an unreadable clause is left out.
func ParseAccept(header []string) []clause {
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

// Negotiate picks how to answer: the first clause that can be served. streaming: the answer is a stream of events,
// which YAML has no form for.
func Negotiate(req *http.Request, pretty bool, as func(Shape) bool, streaming bool) (Shape, error) {
	header := req.Header.Values("Accept")
	if len(header) == 0 || header[0] == "" {
		return Shape{Pretty: pretty}, nil
	}
	if len(header) == 1 && plainAccept(header[0]) {
		return Shape{Pretty: pretty}, nil
	}
	for _, c := range ParseAccept(header) {
		s := Shape{Pretty: pretty || c.Params["pretty"] == "1", As: c.Params["as"], Version: c.Params["v"]}
		switch c.Media {
		case JSONType, "application/*", "*/*":
		case YAMLType, "text/yaml", "application/x-yaml":
			s.YAML = true
		default:
			continue
		}
		if s.As == "" {
			s.Version = ""
		} else if c.Params["g"] != metav1.GroupName || !as(s) {
			continue
		}
		if c.Params["as"] == "" && c.Params["g"] != "" || s.YAML && streaming {
			continue
		}
		return s, nil
	}
	return Shape{}, NotAcceptable(JSONType, YAMLType)
}

// plainAccept tells the headers with which Go clients ask for JSON: parsing them costs a quarter of a GET.
func plainAccept(header string) bool {
	switch header {
	case JSONType, JSONType + ", */*", JSONType + ",*/*", "*/*", ProtobufType + "," + JSONType, ProtobufType + ", " + JSONType:
		return true
	}
	return false
}

// ResourceShapes returns whether an object (list: a list of them) is served in a shape.
func ResourceShapes(list bool) func(Shape) bool {
	return func(s Shape) bool {
		switch s.As {
		case "Table":
			return s.Version == "v1" || s.Version == "v1beta1"
		case "PartialObjectMetadata":
			return !list && (s.Version == "v1" || s.Version == "v1beta1")
		case "PartialObjectMetadataList":
			return list && (s.Version == "v1" || s.Version == "v1beta1")
		}
		return false
	}
}

// WantsPretty returns whether JSON is to be indented: asked for, or the client is a browser or curl.
func WantsPretty(r *Request) bool {
	if v, ok := r.Query["pretty"]; ok && len(v) > 0 {
		on, err := strconv.ParseBool(v[0])
		return err == nil && on
	}
	if r.ByKey {
		return false // the key's value is shown as it is stored
	}
	agent := r.UserAgent()
	return strings.HasPrefix(agent, "curl") || strings.HasPrefix(agent, "Wget") || strings.HasPrefix(agent, "Mozilla/5.0")
}

// NotAcceptable is the answer to an Accept header that nothing fits.
func NotAcceptable(accepted ...string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusNotAcceptable, Reason: metav1.StatusReasonNotAcceptable,
		Message: "only the following media types are accepted: " + strings.Join(accepted, ", "),
	}}
}
