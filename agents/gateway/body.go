package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"gantry/schema"
)

// maxBody bounds a request's body, as Kubernetes does; etcd takes half of it.
const maxBody = 3 << 20 // bytes

// readBody reads the whole body within its bound. That it cannot be read, in broken chunks or cut off, is the client's fault,
// unless the request's time is over.
func readBody(w http.ResponseWriter, req *http.Request) ([]byte, error) {
	if req.ContentLength > maxBody {
		return nil, &http.MaxBytesError{Limit: maxBody}
	}
	b := bytes.NewBuffer(make([]byte, 0, max(0, req.ContentLength)+bytes.MinRead)) // with less left it grows before it finds the end
	_, err := io.Copy(b, http.MaxBytesReader(w, req.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return b.Bytes(), nil
	case errors.As(err, &large):
		return nil, err
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(req.Context().Err(), context.DeadlineExceeded):
		return nil, context.DeadlineExceeded
	}
	return nil, apierrors.NewBadRequest(fmt.Sprintf("error reading the request body: %v", err))
}

// content is a body with its media type; YAML has become JSON.
type content struct {
	data     []byte
	protobuf bool
}

// readContent reads a body of a type that objects are written in. The types that a page of another site may send without asking
// (forms, plain text) are none of them.
func readContent(w http.ResponseWriter, req *http.Request) (content, error) {
	media, err := contentMedia(req)
	if err != nil {
		return content{}, err
	}
	b, err := readBody(w, req)
	if err != nil {
		return content{}, err
	}
	return contentOf(media, b)
}

// readContentIfAny is readContent where a request may do without a body, whose type is then of no matter.
func readContentIfAny(w http.ResponseWriter, req *http.Request) (content, error) {
	b, err := readBody(w, req)
	if err != nil || len(bytes.TrimSpace(b)) == 0 {
		return content{}, err
	}
	media, err := contentMedia(req)
	if err != nil {
		return content{}, err
	}
	return contentOf(media, b)
}

// contentMedia is the media type of a body; none is JSON.
func contentMedia(req *http.Request) (string, error) {
	media, _, err := mediaType(req.Header.Get("Content-Type"))
	if err == nil {
		switch media {
		case "":
			return jsonType, nil
		case jsonType, yamlType, protobufType:
			return media, nil
		}
	}
	return "", unsupportedMedia(jsonType, yamlType, protobufType)
}

func contentOf(media string, body []byte) (content, error) {
	if media == yamlType && len(body) > 0 {
		var err error
		if body, err = yamlToJSON(body); err != nil {
			return content{}, err
		}
	}
	return content{data: body, protobuf: media == protobufType}, nil
}

// readKind reads the body as an object of kind k.
func readKind(w http.ResponseWriter, req *http.Request, k *schema.Kind, o writing) (schema.Object, error) {
	c, err := readContent(w, req)
	if err != nil {
		return nil, err
	}
	if c.protobuf {
		return decodeProtobuf(k, c.data)
	}
	return decode(w, k, c.data, o)
}

// mediaType reads a Content-Type; "" is "".
func mediaType(header string) (media string, params map[string]string, err error) {
	if header == "" {
		return "", nil, nil
	}
	return mime.ParseMediaType(header)
}

// yamlToJSON refuses what grows: aliases are bounded by the parser, the result here.
func yamlToJSON(b []byte) ([]byte, error) {
	j, err := yaml.YAMLToJSON(b)
	if err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("error converting YAML to JSON: %v", err))
	}
	if len(j) > 2*maxBody {
		return nil, &http.MaxBytesError{Limit: maxBody}
	}
	return j, nil
}

// decode reads an object of kind k from JSON; unknown and duplicate fields become warnings or, strict, an error.
func decode(w http.ResponseWriter, k *schema.Kind, body []byte, o writing) (schema.Object, error) {
	obj, unknown, err := schema.Decode(k, body)
	if err != nil {
		return nil, unreadable(k, body, err)
	}
	if len(unknown) == 0 || o.ignore {
		return obj, nil
	}
	if o.strict {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s: %s", k.Kind, k.Version, k.Kind, strictText(unknown)))
	}
	for _, u := range unknown {
		warn(w, u)
	}
	return obj, nil
}

// unreadable words what keeps a body from being a k.
func unreadable(k *schema.Kind, body []byte, err error) error {
	var head struct {
		metav1.TypeMeta
		Metadata struct{ Name string }
	}
	if faults := kjson.UnmarshalCaseSensitivePreserveInts(body, &head); faults != nil {
		return apierrors.NewBadRequest(fmt.Sprintf("the object provided is unrecognized (must be of type %s): couldn't get version/kind; json parse error: %v (%s)",
			k.Kind, faults, summary(body)))
	}
	if head.APIVersion != "" && head.APIVersion != k.APIVersion() {
		return apierrors.NewBadRequest(fmt.Sprintf("the API version in the data (%s) does not match the expected API version (%s)", head.APIVersion, k.APIVersion()))
	}
	var values *schema.ValueError
	if errors.As(err, &values) {
		return apierrors.NewInvalid(k.GVK().GroupKind(), head.Metadata.Name, values.Faults)
	}
	if head.Kind == "" {
		head.Kind = k.Kind
	}
	return apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s: %v", head.Kind, k.Version, k.Kind, err))
}

// summary is the start of a body in hexadecimal, as Kubernetes shows what it could not read.
func summary(body []byte) string {
	const most = 30
	switch {
	case len(body) == 0:
		return "<empty>"
	case len(body) > most:
		return fmt.Sprintf("%02x ...", body[:most])
	}
	return fmt.Sprintf("%02x", body)
}

func strictText(unknown []string) string {
	text := "strict decoding error: "
	for i, u := range unknown {
		if i > 0 {
			text += ", "
		}
		text += u
	}
	return text
}

// Warnings are bounded, so that a body cannot make a header of its own size.
const (
	maxWarnings    = 50
	maxWarningText = 512 // bytes
)

// warn adds a Warning header.
func warn(w http.ResponseWriter, text string) {
	if len(w.Header()["Warning"]) >= maxWarnings {
		return
	}
	if len(text) > maxWarningText {
		text = text[:maxWarningText]
	}
	w.Header().Add("Warning", "299 - "+strconv.QuoteToGraphic(text))
}
