package encode

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1beta1 "k8s.io/apimachinery/pkg/apis/meta/v1beta1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/util/framer"

	"gantry/agents/gateway/request"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/kinds"
)

// kubernetes encodes an object as Kubernetes does.
func kubernetes(t *testing.T, obj runtime.Object) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := protobuf.NewSerializer(nil, nil).Encode(obj, &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// frame encodes a watch event as Kubernetes does.
func frame(t *testing.T, kind string, object runtime.Object) []byte {
	t.Helper()
	ev := &metav1.WatchEvent{Type: kind, Object: runtime.RawExtension{Raw: kubernetes(t, object)}}
	var message, framed bytes.Buffer
	if err := protobuf.NewRawSerializer(nil, nil).Encode(ev, &message); err != nil {
		t.Fatal(err)
	}
	if _, err := framer.NewLengthDelimitedFrameWriter(&framed).Write(message.Bytes()); err != nil {
		t.Fatal(err)
	}
	return framed.Bytes()
}

// configMaps are a request about config maps in a shape, and some of them.
func configMaps(t *testing.T, shape request.Shape) (*request.Request, registry.List, []corev1.ConfigMap) {
	t.Helper()
	k := kinds.New().Set().Of(reflect.TypeFor[*corev1.ConfigMap]())
	r := &request.Request{Request: httptest.NewRequestWithContext(context.Background(), "GET", "/", http.NoBody), Shape: shape}
	r.Resource, r.Kind = &request.Resource{Kind: k, Version: k.Stored()}, k
	remaining := int64(7)
	l := registry.List{Revision: 9, Continue: "more", Remaining: &remaining}
	var objs []corev1.ConfigMap
	for _, name := range []string{"a", "b", strings.Repeat("c", 200)} {
		obj := corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "n", ResourceVersion: "5", Labels: map[string]string{"x": "y", "a": "b"}}}
		obj.Data = map[string]string{"k": strings.Repeat("v", 300), "j": ""}
		k.SetTypeMeta(&obj)
		data, err := schema.Encode(&obj)
		if err != nil {
			t.Fatal(err)
		}
		item, err := registry.NewItem(k, data)
		if err != nil {
			t.Fatal(err)
		}
		l.Items, objs = append(l.Items, item), append(objs, obj)
	}
	return r, l, objs
}

// TestProtobufIsKubernetes compares answers and watch events with what Kubernetes' own encoder makes.
func TestProtobufIsKubernetes(t *testing.T) {
	r, l, objs := configMaps(t, request.Shape{Protobuf: true})
	meta := metav1.ListMeta{ResourceVersion: "9", Continue: "more", RemainingItemCount: l.Remaining}
	shaped := func(as, version string) *request.Request {
		other := *r
		other.Shape.As, other.Shape.Version = as, version
		return &other
	}
	partial := func(version string) (all []metav1.PartialObjectMetadata) {
		for _, o := range objs {
			all = append(all, metav1.PartialObjectMetadata{TypeMeta: typeMeta("meta.k8s.io/"+version, partialKind), ObjectMeta: o.ObjectMeta})
		}
		return all
	}
	list := func(r *request.Request) []byte {
		w := httptest.NewRecorder()
		if err := List(w, r, l); err != nil {
			t.Fatal(err)
		}
		return w.Body.Bytes()
	}
	item := func(r *request.Request) []byte {
		b, err := itemBytes(r, l.Items[1])
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	event := func(r *request.Request, ev registry.Event, fault error) []byte {
		f, err := NewEventFramer(r)
		if err != nil {
			t.Fatal(err)
		}
		var b []byte
		if fault != nil {
			b, err = f.AppendError(nil, fault)
		} else {
			b, err = f.Append(nil, &ev)
		}
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	end := map[string]string{"k8s.io/initial-events-end": "true"}
	fault := request.NotFound()
	for _, tt := range []struct {
		name      string
		got, want []byte
	}{
		{"object", item(r), kubernetes(t, &objs[1])},
		{"metadata", item(shaped(partialKind, "v1")), kubernetes(t, &partial("v1")[1])},
		{"list", list(r), kubernetes(t, &corev1.ConfigMapList{TypeMeta: typeMeta("v1", "ConfigMapList"), ListMeta: meta, Items: objs})},
		{"metadata list", list(shaped(partialListKind, "v1")),
			kubernetes(t, &metav1.PartialObjectMetadataList{TypeMeta: typeMeta("meta.k8s.io/v1", partialListKind), ListMeta: meta, Items: partial("v1")})},
		{"old metadata list", list(shaped(partialListKind, "v1beta1")),
			kubernetes(t, &metav1beta1.PartialObjectMetadataList{TypeMeta: typeMeta("meta.k8s.io/v1beta1", partialListKind), ListMeta: meta, Items: partial("v1beta1")})},
		{"event", event(r, registry.Event{Type: "ADDED", Item: l.Items[2]}, nil), frame(t, "ADDED", &objs[2])},
		{"bookmark", event(r, registry.Event{Type: "BOOKMARK", Revision: 12, InitialEnd: true}, nil), frame(t, "BOOKMARK", &corev1.ConfigMap{
			TypeMeta: typeMeta("v1", "ConfigMap"), ObjectMeta: metav1.ObjectMeta{ResourceVersion: "12", Annotations: end}})},
		{"bookmark of metadata", event(shaped(partialKind, "v1"), registry.Event{Type: "BOOKMARK", Revision: 12}, nil), frame(t, "BOOKMARK", &metav1.PartialObjectMetadata{
			TypeMeta: typeMeta("meta.k8s.io/v1", partialKind), ObjectMeta: metav1.ObjectMeta{ResourceVersion: "12"}})},
		{"error", event(r, registry.Event{}, fault), frame(t, "ERROR", StatusOf(fault))},
	} {
		if diff := cmp.Diff(string(tt.want), string(tt.got)); diff != "" {
			t.Errorf("%s (-Kubernetes +Gantry):\n%s", tt.name, diff)
		}
	}
}

func typeMeta(apiVersion, kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: apiVersion, Kind: kind}
}

// BenchmarkProtobuf compares the answers of one pod in JSON and in protobuf. Decoded objects are kept until the next garbage
// collection: "decoded" finds one, "anew" does not.
func BenchmarkProtobuf(b *testing.B) {
	k := kinds.New().Set().Of(reflect.TypeFor[*corev1.Pod]())
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "n", UID: "u", ResourceVersion: "5", Labels: map[string]string{"app": "web"}}}
	for range 2 {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "c", Image: "registry/image:1", Args: []string{"a", "b"},
			Env: []corev1.EnvVar{{Name: "A", Value: "B"}, {Name: "C", Value: "D"}}})
	}
	k.SetTypeMeta(pod)
	data, err := schema.Encode(pod)
	if err != nil {
		b.Fatal(err)
	}
	for _, bm := range []struct {
		name     string
		protobuf bool
		anew     bool
	}{{"json", false, false}, {"decoded", true, false}, {"anew", true, true}} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			r := &request.Request{Request: httptest.NewRequestWithContext(b.Context(), "GET", "/", http.NoBody), Shape: request.Shape{Protobuf: bm.protobuf}}
			r.Resource, r.Kind = &request.Resource{Kind: k, Version: k.Stored()}, k
			kept, err := registry.NewItem(k, data)
			if err != nil {
				b.Fatal(err)
			}
			obj := kept.Object()
			for b.Loop() {
				item := kept
				if bm.anew {
					item = &registry.Item{Kind: k, JSON: data}
				}
				if _, err := itemBytes(r, item); err != nil {
					b.Fatal(err)
				}
			}
			_ = obj.GetName()
		})
	}
}
