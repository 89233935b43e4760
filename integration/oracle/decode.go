package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/runtime/serializer/cbor/direct"
	"k8s.io/client-go/kubernetes/scheme"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"sigs.k8s.io/yaml"
)

const (
	typeJSON     = "application/json"
	typeYAML     = "application/yaml"
	typeProtobuf = "application/vnd.kubernetes.protobuf"
	typeCBOR     = "application/cbor"
)

// codecs know the built-in kinds' protobuf.
var codecs = newCodecs()

func newCodecs() serializer.CodecFactory {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, apiextensions.AddToScheme, apiregistration.AddToScheme} {
		if err := add(s); err != nil {
			panic(err) // the groups are distinct
		}
	}
	return serializer.NewCodecFactory(s)
}

// decode turns an answer into a JSON tree; streams become lists, other texts strings.
func decode(r *response) any {
	mediaType, _, _ := strings.Cut(r.header.Get("Content-Type"), ";")
	switch mediaType {
	case typeJSON:
		return decodeJSON(r.body)
	case typeYAML:
		text, err := yaml.YAMLToJSON(r.body)
		if err != nil {
			return "bad YAML: " + err.Error()
		}
		return decodeJSON(text)
	case typeCBOR:
		var v any
		if err := direct.Unmarshal(r.body, &v); err != nil {
			return "bad CBOR: " + err.Error()
		}
		return toTree(v)
	case typeProtobuf:
		o, _, err := codecs.UniversalDeserializer().Decode(r.body, nil, nil)
		if err != nil {
			return "bad protobuf: " + err.Error()
		}
		return toTree(o)
	}
	return string(r.body)
}

// decodeJSON reads one or more documents.
func decodeJSON(text []byte) any {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var docs []any
	for {
		var v any
		err := d.Decode(&v)
		if err == io.EOF {
			break
		}
		if err != nil {
			docs = append(docs, "bad JSON: "+err.Error())
			break
		}
		docs = append(docs, v)
	}
	if len(docs) == 1 {
		return docs[0]
	}
	return docs
}

func toTree(v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		return "not JSON: " + err.Error()
	}
	return decodeJSON(text)
}

// encode makes a body of a media type.
func encode(doc any, mediaType string) ([]byte, error) {
	mediaType, _, _ = strings.Cut(mediaType, ";")
	switch mediaType {
	case typeYAML, "application/apply-patch+yaml":
		return yaml.Marshal(doc)
	case typeCBOR, "application/apply-patch+cbor":
		return direct.Marshal(toPlain(doc))
	case typeProtobuf:
		return encodeProtobuf(doc)
	}
	return json.Marshal(doc)
}

func encodeProtobuf(doc any) ([]byte, error) {
	text, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	o, gvk, err := codecs.UniversalDeserializer().Decode(text, nil, nil)
	if runtime.IsNotRegisteredError(err) { // a custom kind has no protobuf
		return append([]byte("k8s\x00"), text...), nil
	}
	if err != nil {
		return nil, err
	}
	info, ok := runtime.SerializerInfoForMediaType(codecs.SupportedMediaTypes(), typeProtobuf)
	if !ok {
		return nil, fmt.Errorf("no protobuf serializer")
	}
	return runtime.Encode(codecs.EncoderForVersion(info.Serializer, gvk.GroupVersion()), o)
}

// toPlain has int64 and float64 instead of json.Number.
func toPlain(v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var out any
	_ = d.Decode(&out)
	return numbers(out)
}

func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, _ := v.Float64()
		return f
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	}
	return v
}
