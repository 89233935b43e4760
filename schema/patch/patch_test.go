package patch

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gantry/schema"
	"gantry/schema/core"
)

const pod = `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"web","labels":{"a":"1","b":"2"}},
"spec":{"containers":[{"name":"c1","image":"one","env":[{"name":"X","value":"1"}]},{"name":"c2","image":"two"}],"priority":9007199254740993}}`

func TestApply(t *testing.T) {
	tests := []struct {
		name, contentType, current, patch, want string
		wantErr                                 error
	}{
		{name: "json: replace, add, remove", contentType: JSON, current: pod,
			patch: `[{"op":"test","path":"/metadata/name","value":"web"},{"op":"replace","path":"/spec/containers/0/image","value":"<new>"},{"op":"add","path":"/metadata/labels/a~1c","value":"3"},{"op":"remove","path":"/metadata/labels/a"},{"op":"remove","path":"/spec/containers/1"}]`,
			want:  `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"web","labels":{"a/c":"3","b":"2"}},"spec":{"containers":[{"name":"c1","image":"<new>","env":[{"name":"X","value":"1"}]}],"priority":9007199254740993}}`},
		{name: "json: failed test", contentType: JSON, current: pod, patch: `[{"op":"test","path":"/metadata/name","value":"db"}]`, wantErr: ErrConflict},
		{name: "json: absent path", contentType: JSON, current: pod, patch: `[{"op":"remove","path":"/metadata/labels/none"}]`, wantErr: ErrConflict},
		{name: "json: an object instead of a list", contentType: JSON, current: pod, patch: `{"op":"remove"}`, wantErr: ErrMalformed},
		{name: "json: no such operation", contentType: JSON, current: pod, patch: `[{"op":"eval","path":"/a"}]`, wantErr: ErrConflict},
		{name: "json: no value", contentType: JSON, current: `{"a":1}`, patch: `[{"op":"add","path":"/b"}]`, want: `{"a":1,"b":null}`},
		{name: "json: rubbish", contentType: JSON, current: pod, patch: `[{`, wantErr: ErrMalformed},
		{name: "merge: null deletes, lists are replaced, integers stay", contentType: Merge + "; charset=utf-8", current: pod,
			patch: `{"metadata":{"labels":{"a":null,"c":"3"},"annotations":{"x":{"y":null}}},"spec":{"containers":[{"name":"c3"}]}}`,
			want:  `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"web","annotations":{"x":{}},"labels":{"b":"2","c":"3"}},"spec":{"containers":[{"name":"c3"}],"priority":9007199254740993}}`},
		{name: "merge: a scalar becomes an object", contentType: Merge, current: `{"a":1}`, patch: `{"a":{"b":null,"c":2}}`, want: `{"a":{"c":2}}`},
		{name: "merge: null", contentType: Merge, current: pod, patch: `null`, wantErr: ErrRefused},
		{name: "merge: a list", contentType: Merge, current: pod, patch: `[]`, wantErr: ErrMalformed},
		{name: "strategic: lists merge by key", contentType: Strategic, current: pod,
			patch: `{"spec":{"containers":[{"name":"c2","image":"three"},{"$patch":"delete","name":"c1"}]},"metadata":{"labels":{"a":null}}}`,
			want:  `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"web","labels":{"b":"2"}},"spec":{"containers":[{"name":"c2","image":"three"}],"priority":9007199254740993}}`},
		{name: "strategic: element order", contentType: Strategic, current: pod,
			patch: `{"spec":{"$setElementOrder/containers":[{"name":"c2"},{"name":"c1"}],"containers":[{"name":"c1","image":"x"}]}}`,
			want:  `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"web","labels":{"a":"1","b":"2"}},"spec":{"containers":[{"name":"c2","image":"two"},{"name":"c1","image":"x","env":[{"name":"X","value":"1"}]}],"priority":9007199254740993}}`},
		{name: "strategic: no merge key", contentType: Strategic, current: pod, patch: `{"spec":{"containers":[{"image":"x"}]}}`, wantErr: ErrUnknown},
		{name: "strategic: a string where a list belongs", contentType: Strategic, current: pod, patch: `{"metadata":{"$patch":"nonsense"}}`, wantErr: ErrUnknown},
		{name: "strategic: bad order directive", contentType: Strategic, current: pod, patch: `{"metadata":{"$setElementOrder/finalizers":"x","finalizers":["a"]}}`, wantErr: ErrUnknown},
		{name: "strategic: bad retainKeys", contentType: Strategic, current: pod, patch: `{"spec":{"$retainKeys":"x"}}`, wantErr: ErrRefused},
		{name: "strategic: another kind's name", contentType: Strategic, current: pod,
			patch: `{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"labels":{"a":null}}}`,
			want:  strings.Replace(pod, `"a":"1",`, "", 1)},
		{name: "unknown type", contentType: "application/json", current: pod, patch: `{}`, wantErr: ErrUnsupported},
		{name: "no type", contentType: "", current: pod, patch: `{}`, wantErr: ErrUnsupported},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Apply(core.Pod.Stored(), tt.contentType, []byte(tt.current), []byte(tt.patch))
			if !errors.Is(err, tt.wantErr) {
				t.Fatalf("error %v, want kind %v", err, tt.wantErr)
			}
			if err != nil {
				return
			}
			if diff := cmp.Diff(decodeJSON(t, tt.want), decodeJSON(t, string(got))); diff != "" {
				t.Errorf("patched (-want +got):\n%s", diff)
			}
		})
	}
}

func TestApplyIsBounded(t *testing.T) {
	deep := func(open, shut string, n int) string { return strings.Repeat(open, n) + "1" + strings.Repeat(shut, n) }
	double := []string{`{"op":"add","path":"/x","value":["` + strings.Repeat("a", 1000) + `"]}`}
	for range 30 {
		double = append(double, `{"op":"copy","from":"/x","path":"/x/-"}`)
	}
	var names []string
	for i := range schema.MaxObjects {
		names = append(names, fmt.Sprintf(`{"name":"c%d"}`, i))
	}
	tests := []struct {
		name, contentType, patch string
		want                     error
	}{
		{"deep objects", Merge, deep(`{"a":`, `}`, 100_000), ErrMalformed},
		{"deep lists", JSON, deep(`[`, `]`, 100_000), ErrMalformed},
		{"a megabyte of brackets", Strategic, strings.Repeat("[", 1<<20), ErrMalformed},
		{"too many operations", JSON, "[" + strings.Repeat(`{"op":"remove","path":"/a"},`, 10_000) + `{"op":"remove","path":"/a"}]`, ErrTooLarge},
		{"copies that double", JSON, "[" + strings.Join(double, ",") + "]", ErrTooLarge},
		{"too many bytes", Merge, `{"a":"` + strings.Repeat("a", 3<<20) + `"}`, ErrTooLarge},
		{"too many objects", Strategic, `{"spec":{"containers":[` + strings.Join(names, ",") + `]}}`, ErrTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Apply(core.Pod.Stored(), tt.contentType, []byte(pod), []byte(tt.patch)); !errors.Is(err, tt.want) {
				t.Errorf("error %.200v, want kind %v", err, tt.want)
			}
		})
	}
}

func TestDuplicates(t *testing.T) {
	got := Duplicates([]byte(`{"a":1,"b":{"c":1,"c":2}}`))
	if diff := cmp.Diff([]string{`duplicate field "b.c"`}, got); diff != "" {
		t.Errorf("duplicates (-want +got):\n%s", diff)
	}
}

func FuzzApply(f *testing.F) {
	f.Add(JSON, `[{"op":"move","from":"/spec","path":"/spec/x"}]`)
	f.Add(Merge, `{"spec":null}`)
	f.Add(Strategic, `{"spec":{"$retainKeys":["x"],"containers":null}}`)
	f.Fuzz(func(t *testing.T, contentType, patch string) {
		got, err := Apply(core.Pod.Stored(), contentType, []byte(pod), []byte(patch))
		if err == nil && !json.Valid(got) {
			t.Errorf("patching with %q made invalid JSON: %q", patch, got)
		}
		if err != nil && strings.HasPrefix(err.Error(), "applying the patch: ") {
			t.Errorf("patching with %q panicked: %v", patch, err)
		}
	})
}

func decodeJSON(t *testing.T, text string) (doc any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&doc); err != nil {
		t.Fatalf("decoding %s: %v", text, err)
	}
	return doc
}

func TestUnknownMembers(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{`[{"op":"add","path":"/a","value":1,"zzz":2},{"b":1,"a":1}]`,
			`[json patch unknown field "[0].zzz" json patch unknown field "[1].a" json patch unknown field "[1].b"]`},
		{`[{"op":"remove","path":"/a","from":"/b"}]`, "[]"},
		{`[1`, "[]"},
	} {
		if got := fmt.Sprint(UnknownMembers([]byte(tt.in))); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.in, got, tt.want)
		}
	}
}
