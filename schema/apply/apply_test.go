package apply_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
	"gantry/schema/apply"
	"gantry/schema/apps"
	"gantry/schema/core"
	"gantry/schema/kinds/kindstest"
)

// step is one write of an object: an apply or, with update, a replacement.
type step struct {
	manager, config, subresource string
	version                      *schema.Version
	update, force                bool
	// fails is the text of the error, which names every conflict.
	fails string
	// fields is "manager operation[/subresource] fieldsV1" of each entry after it, and has what the object then contains; "": not compared.
	fields []string
	has    string
}

const (
	deployment = `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d","namespace":"n"},"spec":{"replicas":1,"selector":{"matchLabels":{"a":"b"}},` +
		`"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}`
	configMap = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m","namespace":"n"},"data":`
	widget    = `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w","namespace":"n"},"spec":`
	pod       = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"n"},"spec":{"containers":[{"name":"c","image":"i","ports":`
	service   = `{"apiVersion":"v1","kind":"Service","metadata":{"name":"s","namespace":"n"},"spec":`
)

func finalized(by string) string {
	return `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m","namespace":"n","finalizers":[` + by + `]}}`
}

var structured = func() *schema.Kind {
	k := *kindstest.Widget()
	k.Structure = schema.NewStructure([]byte(`{"type":"object","properties":{"spec":{"type":"object","properties":{
		"colour":{"type":"string"},"replicas":{"type":"integer"},"free":{"type":"object","x-kubernetes-preserve-unknown-fields":true},
		"made":{"type":"object","x-kubernetes-embedded-resource":true,"properties":{"spec":{"type":"object","properties":{"n":{"type":"integer"}}}}},
		"tags":{"type":"array","items":{"type":"string"},"x-kubernetes-list-type":"set"},
		"parts":{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["id"],
			"items":{"type":"object","properties":{"id":{"type":"string"},"n":{"type":"integer"}}}}}}}}`))
	return &k
}()

func TestApply(t *testing.T) {
	widgets := kindstest.Widget()
	for name, tt := range map[string]struct {
		kind  *schema.Kind
		steps []step
	}{
		"fields that are applied are managed, and those left out later are removed": {core.ConfigMap, []step{
			{manager: "a", config: configMap + `{"x":"1","y":"2"}}`, fields: []string{`a Apply {"f:data":{"f:x":{},"f:y":{}}}`}},
			{manager: "a", config: configMap + `{"x":"1"}}`, fields: []string{`a Apply {"f:data":{"f:x":{}}}`}, has: `"data":{"x":"1"}`},
		}},
		"a field that another manages too stays": {core.ConfigMap, []step{
			{manager: "a", config: configMap + `{"x":"1","y":"2"}}`},
			{manager: "b", config: configMap + `{"y":"2"}}`},
			{manager: "a", config: configMap + `{"x":"1"}}`, has: `"data":{"x":"1","y":"2"}`, fields: []string{
				`a Apply {"f:data":{"f:x":{}}}`, `b Apply {"f:data":{"f:y":{}}}`}},
		}},
		"another value is a conflict, and force takes the field over": {core.ConfigMap, []step{
			{manager: "a", config: configMap + `{"x":"1"}}`},
			{manager: "b", config: configMap + `{"x":"2"}}`, fails: `Apply failed with 1 conflict: conflict with "a": .data.x`},
			{manager: "b", config: configMap + `{"x":"2"}}`, force: true, has: `"data":{"x":"2"}`, fields: []string{`b Apply {"f:data":{"f:x":{}}}`}},
		}},
		"several conflicts are listed by manager": {core.ConfigMap, []step{
			{manager: "a", config: configMap + `{"x":"1","y":"1"}}`},
			{manager: "b", config: configMap + `{"z":"1"}}`},
			{manager: "c", config: configMap + `{"x":"2","y":"2","z":"2"}}`,
				fails: "Apply failed with 3 conflicts: conflicts with \"a\":\n- .data.x\n- .data.y\nconflicts with \"b\":\n- .data.z"},
		}},
		"an update takes the fields that it changes, without a conflict": {core.ConfigMap, []step{
			{manager: "a", config: configMap + `{"x":"1","y":"1"}}`},
			{manager: "edit", config: configMap + `{"x":"2","y":"1"}}`, update: true, fields: []string{
				`a Apply {"f:data":{"f:y":{}}}`, `edit Update {"f:data":{"f:x":{}}}`}},
			{manager: "a", config: configMap + `{"x":"1","y":"1"}}`, fails: `Apply failed with 1 conflict: conflict with "edit" using v1: .data.x`},
		}},
		"an update before the first apply is before-first-apply's": {core.ConfigMap, []step{
			{manager: "edit", config: configMap + `{"x":"1"}}`, update: true, fields: []string{}},
			{manager: "a", config: configMap + `{"x":"2"}}`, fails: `Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.x`},
			{manager: "a", config: configMap + `{"y":"2"}}`, has: `"data":{"x":"1","y":"2"}`, fields: []string{
				`a Apply {"f:data":{"f:y":{}}}`, `before-first-apply Update {"f:data":{".":{},"f:x":{}}}`}},
		}},
		"elements of a map list are told apart by their keys, with defaults": {core.Pod, []step{
			{manager: "a", config: pod + `[{"containerPort":80}]}]}}`},
			{manager: "b", config: pod + `[{"containerPort":80,"protocol":"UDP"}]}]}}`, has: `"ports":[{"containerPort":80,"protocol":"TCP"},{"containerPort":80,"protocol":"UDP"}]`},
			{manager: "a", config: strings.Replace(pod, `,"ports":`, ``, 1) + `}]}}`, has: `"ports":[{"containerPort":80,"protocol":"UDP"}]`},
		}},
		"an atomic map is one field": {core.Service, []step{
			{manager: "a", config: service + `{"selector":{"x":"1"},"ports":[{"port":80}]}}`},
			{manager: "b", config: service + `{"selector":{"y":"1"}}}`, fails: `Apply failed with 1 conflict: conflict with "a": .spec.selector`},
			{manager: "a", config: service + `{"selector":{"y":"1"},"ports":[{"port":80}]}}`, has: `"selector":{"y":"1"}`},
		}},
		"an embedded object has the fields of every object": {structured, []step{
			{manager: "a", config: widget + `{"made":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"},"spec":{"n":1}}}}`,
				fields: []string{`a Apply {"f:spec":{"f:made":{"f:apiVersion":{},"f:kind":{},"f:metadata":{"f:name":{}},"f:spec":{"f:n":{}}}}}`}},
		}},
		"a set has elements": {core.ConfigMap, []step{
			{manager: "a", config: finalized(`"x/a"`)},
			{manager: "b", config: finalized(`"x/b"`), has: `"finalizers":["x/a","x/b"]`},
			{manager: "a", config: finalized(""), has: `"finalizers":["x/b"]`},
		}},
		"status is ignored by the object, and the object by status": {apps.Deployment, []step{
			{manager: "a", config: strings.Replace(deployment, `"spec":{"r`, `"status":{"replicas":3},"spec":{"r`, 1), fields: []string{
				`a Apply {"f:spec":{"f:replicas":{},"f:selector":{},"f:template":{"f:metadata":{"f:labels":{"f:a":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"c\"}":{".":{},"f:image":{},"f:name":{}}}}}}}`}},
			{manager: "s", subresource: "status", config: `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d","labels":{"l":"1"}},"spec":{"paused":true},"status":{"replicas":4}}`, fields: []string{
				`a Apply {"f:spec":{"f:replicas":{},"f:selector":{},"f:template":{"f:metadata":{"f:labels":{"f:a":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"c\"}":{".":{},"f:image":{},"f:name":{}}}}}}}`,
				`s Apply/status {"f:status":{"f:replicas":{}}}`}},
		}},
		"resize writes resources alone": {core.Pod, []step{
			{manager: "a", config: pod + `[]}]}}`},
			{manager: "r", subresource: "resize", config: `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","labels":{"l":"1"}},"spec":{"containers":[{"name":"c","resources":{"limits":{"cpu":"1"}}}]}}`, fields: []string{
				`a Apply {"f:spec":{"f:containers":{"k:{\"name\":\"c\"}":{".":{},"f:image":{},"f:name":{}}}}}`,
				`r Apply/resize {"f:spec":{"f:containers":{"k:{\"name\":\"c\"}":{".":{},"f:resources":{"f:limits":{"f:cpu":{}}}}}}}`}},
		}},
		"without a schema lists are replaced": {widgets, []step{
			{manager: "a", config: widget + `{"tags":["a"],"deep":{"x":1}}}`, fields: []string{`a Apply {"f:spec":{".":{},"f:deep":{".":{},"f:x":{}},"f:tags":{}}}`}},
			{manager: "b", config: widget + `{"tags":["b"],"deep":{"y":1}}}`, fails: `Apply failed with 1 conflict: conflict with "a": .spec.tags`},
			{manager: "b", config: widget + `{"deep":{"y":1}}}`, has: `"deep":{"x":1,"y":1}`},
		}},
		"with a schema they are merged": {structured, []step{
			{manager: "a", config: widget + `{"tags":["a"],"parts":[{"id":"x","n":1}],"free":{"any":[1]}}}`},
			{manager: "b", config: widget + `{"tags":["b"],"parts":[{"id":"y","n":2}]}}`, has: `"parts":[{"id":"x","n":1},{"id":"y","n":2}],"tags":["a","b"]`},
			{manager: "b", config: widget + `{"bogus":1}}`, fails: `failed to create typed patch object (n/w; example.com/v1, Kind=Widget): .spec.bogus: field not declared in schema`},
		}},
		"fields are recorded in the version that they are applied in": {widgets, []step{
			{manager: "a", config: widget + `{"replicas":1}}`},
			{manager: "b", version: widgets.Versions[0], config: strings.Replace(widget, "/v1", "/v1beta1", 1) + `{"size":2}}`,
				fails: `Apply failed with 1 conflict: conflict with "a": .spec.replicas`},
			{manager: "a", version: widgets.Versions[0], config: strings.Replace(widget, "/v1", "/v1beta1", 1) + `{"size":3}}`, has: `"replicas":3`,
				fields: []string{`a Apply {"f:spec":{".":{},"f:size":{}}}`}},
			{manager: "a", config: widget + `{}}`, has: `"spec":{"colour":"red"}`},
		}},
		"an unknown field": {core.ConfigMap, []step{{manager: "a", config: configMap + `{},"bogus":1}`,
			fails: `failed to create typed patch object (n/m; /v1, Kind=ConfigMap): .bogus: field not declared in schema`}}},
		"a value of another type": {apps.Deployment, []step{{manager: "a", config: strings.Replace(deployment, `"replicas":1`, `"replicas":"1"`, 1),
			fails: `failed to create typed patch object (n/d; apps/v1, Kind=Deployment): .spec.replicas: expected numeric (int or float), got string`}}},
		"an element twice": {core.Pod, []step{{manager: "a", config: pod + `[{"containerPort":80},{"containerPort":80}]}]}}`,
			fails: `failed to create typed patch object (n/p; /v1, Kind=Pod): .spec.containers[name="c"].ports: duplicate entries for key [containerPort=80,protocol="TCP"]`}}},
		"another version": {core.ConfigMap, []step{{manager: "a", config: strings.Replace(configMap, `"v1"`, `"v2"`, 1) + `{}}`, fails: `invalid object type: /v2, Kind=ConfigMap`}}},
		"no kind":         {core.ConfigMap, []step{{manager: "a", config: `{}`, fails: `invalid object type: /, Kind=`}}},
		"managed fields":  {core.ConfigMap, []step{{manager: "a", config: strings.Replace(configMap, `"name"`, `"managedFields":[],"name"`, 1) + `{}}`, fails: `metadata.managedFields must be nil`}}},
		"not an object": {core.ConfigMap, []step{{manager: "a", config: `[1]`,
			fails: "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go value of type map[string]interface {}"}}},
		"deep": {core.ConfigMap, []step{{manager: "a", config: strings.Repeat("[", 300), fails: "error decoding YAML: nested deeper than 200 levels"}}},
	} {
		t.Run(name, func(t *testing.T) { take(t, tt.kind, tt.steps) })
	}
}

// take makes the writes one after another.
func take(t *testing.T, k *schema.Kind, steps []step) {
	t.Helper()
	types := &apply.Types{}
	var live schema.Object
	for i, s := range steps {
		obj, err := write(types, k, live, s)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if text != s.fails {
			t.Fatalf("step %d: error\n%s\nwant\n%s", i, text, s.fails)
		}
		if err != nil {
			continue
		}
		if live = stored(t, k, obj); s.fields != nil {
			if diff := cmp.Diff(s.fields, fieldsOf(live)); diff != "" {
				t.Errorf("step %d: managed fields (-want +got):\n%s", i, diff)
			}
		}
		live.SetUID("0f8fad5b-d9cb-469f-a165-70867728950e")
		data, err := schema.Encode(live)
		if err != nil || !strings.Contains(string(data), s.has) {
			t.Errorf("step %d: %s (%v), want in it %s", i, data, err, s.has)
		}
	}
}

func write(types *apply.Types, k *schema.Kind, live schema.Object, s step) (schema.Object, error) {
	w := apply.Write{Kind: k, Version: s.version, Subresource: s.subresource, Manager: s.manager}
	if !s.update {
		return types.Apply(context.Background(), w, live, []byte(s.config), s.force)
	}
	obj, _, err := schema.Decode(k.Stored(), []byte(s.config))
	if err != nil {
		return nil, err
	}
	return obj, types.Update(context.Background(), w, live, obj)
}

// stored is an object as it is read again, with its defaults.
func stored(t *testing.T, k *schema.Kind, obj schema.Object) schema.Object {
	t.Helper()
	if k.Default != nil {
		k.Default(obj)
	}
	_, data, err := schema.EncodeStored(k.Stored(), obj)
	if err != nil {
		t.Fatal(err)
	}
	if obj, _, err = schema.Decode(k.Stored(), data); err != nil {
		t.Fatal(err)
	}
	return obj
}

func fieldsOf(obj schema.Object) []string {
	out := []string{}
	for _, e := range obj.GetManagedFields() {
		operation := string(e.Operation)
		if e.Subresource != "" {
			operation += "/" + e.Subresource
		}
		out = append(out, e.Manager+" "+operation+" "+string(e.FieldsV1.Raw))
	}
	slices.Sort(out) // not by time
	return out
}

func TestConflictCauses(t *testing.T) {
	types := &apply.Types{}
	a := step{manager: "a", config: configMap + `{"x":"1"}}`}
	live, err := write(types, core.ConfigMap, nil, a)
	if err != nil {
		t.Fatal(err)
	}
	_, err = write(types, core.ConfigMap, live, step{manager: "b", config: configMap + `{"x":"2"}}`})
	var s *apierrors.StatusError
	if !errors.As(err, &s) || s.ErrStatus.Code != 409 {
		t.Fatalf("error %v, want a conflict", err)
	}
	want := []metav1.StatusCause{{Type: metav1.CauseTypeFieldManagerConflict, Message: `conflict with "a"`, Field: ".data.x"}}
	if diff := cmp.Diff(want, s.ErrStatus.Details.Causes); diff != "" {
		t.Errorf("causes (-want +got):\n%s", diff)
	}
}
