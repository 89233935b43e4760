package request

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/munnerz/goautoneg"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
)

// The media types of objects.
const (
	JSONType = "application/json"
	YAMLType = "application/yaml"
	// ProtobufType is how client-go 0.32 and later, and so kubectl, send the bodies of built-in kinds. Those clients list JSON after
	// it, and are answered in JSON.
	ProtobufType = runtime.ContentTypeProtobuf
)

// streamOf is what follows a media type whose answer is a stream of watch events.
const streamOf = ";stream=watch"

var (
	objectTypes = []string{JSONType, YAMLType, ProtobufType}
	streamTypes = []string{JSONType + streamOf, ProtobufType + streamOf}
)

// ObjectTypes are the media types of objects.
func ObjectTypes() []string { return slices.Clone(objectTypes) }

// Shape is the form of an answer.
type Shape struct {
	YAML, Protobuf bool
	Pretty         bool
	// As is "", or what the object is to be shown as: "Table", "PartialObjectMetadata", "PartialObjectMetadataList" or
	// "APIGroupDiscoveryList". Version is that of As.
	As, Version string
}

// ContentType is the answer's media type.
func (s Shape) ContentType() string {
	switch {
	case s.YAML:
		return YAMLType
	case s.Protobuf:
		return ProtobufType
	}
	return JSONType
}

// Offer is what can be answered at a path.
type Offer struct {
	// Types are the media types that the path is documented with. Where the header names none of them, "*/*" neither, the answer
	// lists them; nil: that is not asked, since Kubernetes' router does not know the path.
	Types []string
	// As returns whether the object can be shown as gvk in a media type; nil: as nothing but itself.
	As func(media string, gvk kschema.GroupVersionKind) bool
	// Untyped objects have no form in protobuf; what they are shown as has.
	Untyped bool
	// Stream is an answer of events, which YAML has no form for.
	Stream bool
	// Version is a value that "sv" may have; "": none.
	Version string
}

// Negotiate picks how to answer, as Kubernetes does: the first clause that can be served, the best first. Unlike Kubernetes it
// answers in JSON where the header takes the same in protobuf and in JSON, whichever it prefers: JSON is at hand, protobuf is made.
func Negotiate(header http.Header, pretty bool, o Offer) (Shape, error) {
	accept := header.Get("Accept")
	if accept == "" || plainAccept(accept) {
		return Shape{Pretty: pretty}, nil
	}
	if o.Types != nil && !namesOne(accept, o.Types) {
		return Shape{}, notAcceptable("406: Not Acceptable\n\nAvailable representations: " + strings.Join(o.Types, ", "))
	}
	clauses := goautoneg.ParseAccept(accept)
	s, ok := o.first(clauses, objectTypes)
	switch {
	case !ok:
		return Shape{}, NotAcceptable(objectTypes...)
	case s.YAML && o.Stream:
		return Shape{}, NotAcceptable(streamTypes...)
	case s.Protobuf:
		if json, ok := o.same(clauses, s); ok {
			s = json
		}
	}
	s.Pretty = (pretty || s.Pretty) && !s.YAML && !s.Protobuf
	return s, nil
}

// plainAccept tells the headers with which Go clients ask for JSON: parsing them costs a quarter of a GET.
func plainAccept(header string) bool {
	switch header {
	case JSONType, JSONType + ", */*", JSONType + ",*/*", "*/*", ProtobufType + "," + JSONType, ProtobufType + ", " + JSONType:
		return true
	}
	return false
}

// namesOne returns whether a header has one of some media types, or any.
func namesOne(accept string, types []string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		media, _, _ := strings.Cut(part, ";")
		if media = strings.Trim(media, " "); media == "*/*" || slices.Contains(types, media) {
			return true
		}
	}
	return false
}

// Shown is the shape of the first clause that asks for the object as something else; false: none does that can be served.
func (o Offer) Shown(header http.Header) (Shape, bool) {
	clauses := slices.DeleteFunc(goautoneg.ParseAccept(header.Get("Accept")), func(c goautoneg.Accept) bool { return c.Params["as"] == "" })
	s, ok := o.first(clauses, objectTypes)
	if json, too := o.same(clauses, s); ok && too {
		s = json
	}
	return s, ok
}

// first is the shape of the first clause that can be served in one of some media types.
func (o Offer) first(clauses []goautoneg.Accept, types []string) (Shape, bool) {
	for i := range clauses {
		for _, media := range types {
			if s, ok := o.serves(&clauses[i], media); ok {
				return s, true
			}
		}
	}
	return Shape{}, false
}

// same is the shape in JSON that shows the object as s does.
func (o Offer) same(clauses []goautoneg.Accept, s Shape) (Shape, bool) {
	for i := range clauses {
		if json, ok := o.serves(&clauses[i], JSONType); ok && json.As == s.As && json.Version == s.Version {
			return json, true
		}
	}
	return Shape{}, false
}

// serves returns the shape that a clause asks for in a media type, and whether it can be served.
func (o Offer) serves(c *goautoneg.Accept, media string) (s Shape, ok bool) {
	main, sub, _ := strings.Cut(media, "/")
	if (c.Type != main || c.SubType != sub) && (c.Type != main || c.SubType != "*") && (c.Type != "*" || c.SubType != "*") {
		return Shape{}, false
	}
	s = Shape{YAML: media == YAMLType, Protobuf: media == ProtobufType, Pretty: c.Params["pretty"] == "1"}
	if v := c.Params["stream"]; v != "" && (v != "watch" || s.YAML) {
		return Shape{}, false
	}
	if v := c.Params["sv"]; v != "" && v != o.Version {
		return Shape{}, false
	}
	gvk := kschema.GroupVersionKind{Group: c.Params["g"], Version: c.Params["v"], Kind: c.Params["as"]}
	_, as := c.Params["as"]
	_, g := c.Params["g"]
	_, v := c.Params["v"]
	if !as && !g && !v {
		return s, !s.Protobuf || !o.Untyped
	}
	s.As, s.Version = gvk.Kind, gvk.Version
	return s, o.As != nil && o.As(media, gvk)
}

// ResourceShape is the form of the answer to a request for a resource.
func ResourceShape(r *Request) (Shape, error) {
	if accept := r.Header.Get("Accept"); accept == "" || plainAccept(accept) {
		return Shape{Pretty: WantsPretty(r)}, nil
	}
	return Negotiate(r.Header, WantsPretty(r), resourceOffer(r))
}

// TakesOne tells whether a request for a built-in kind accepts one of the media types that its path is documented with.
func TakesOne(r *Request) bool {
	accept := r.Header.Get("Accept")
	return accept == "" || namesOne(accept, resourceOffer(r).Types)
}

// resourceOffer is what can be answered to a request for a resource.
func resourceOffer(r *Request) Offer {
	o := Offer{Stream: r.Verb == "watch", Version: "v1", As: func(media string, gvk kschema.GroupVersionKind) bool {
		if gvk.Group != metav1.GroupName || gvk.Version != "v1" && gvk.Version != "v1beta1" {
			return false
		}
		switch gvk.Kind {
		case "Table":
			return media != ProtobufType && r.hasTable()
		case "PartialObjectMetadata", "PartialObjectMetadataList":
			return true
		}
		return false
	}}
	if o.Untyped = r.Resource.Version.IsUnstructured(); !o.Untyped {
		o.Types = objectTypes
		if r.Verb == "list" || r.Verb == "watch" {
			o.Types = slices.Concat(objectTypes, streamTypes)
		}
	}
	return o
}

// hasTable returns whether what the request names is shown as a table: objects, stored or listed at least, their status and their scale.
func (r *Request) hasTable() bool {
	return (!r.Resource.Virtual || r.Resource.Version.NewList != nil) && (r.Sub == nil || r.Sub.Name == "status" || r.Sub.Name == "scale")
}

// NegotiateError is the form of an error: what the client accepts, and JSON for people where it accepts nothing that there is.
func NegotiateError(r *Request) Shape {
	s, err := Negotiate(r.Header, WantsPretty(r), Offer{})
	if err != nil {
		return Shape{Pretty: true}
	}
	return s
}

// WantsPretty returns whether JSON is to be indented: asked for, or the client is a browser or curl.
func WantsPretty(r *Request) bool {
	if v := r.Query.Get("pretty"); v != "" {
		on, _ := strconv.ParseBool(v)
		return on
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

// notAcceptable is that answer as Kubernetes' router gives it.
func notAcceptable(text string) error {
	return apierrors.NewGenericServerResponse(http.StatusNotAcceptable, "", kschema.GroupResource{}, "", text, 0, false)
}
