package main

import (
	"slices"
	"strings"
	"testing"
)

var testSchemas = schemas{
	"Thing": {Properties: map[string]*schema{
		"spec": {AllOf: []*schema{{Ref: refPrefix + "Spec"}}},
	}},
	"Spec": {Type: "object", Required: []string{"size"}, Properties: map[string]*schema{
		"size":  {Type: "integer"},
		"mode":  {Type: "string", Enum: []any{"Fast", "Slow"}},
		"parts": {Type: "array", Items: &schema{Ref: refPrefix + "Part"}},
		"own":   {Ref: refPrefix + "Spec"},
	}},
	"Part": {Type: "object", Required: []string{"name"}, Properties: map[string]*schema{
		"name": {Type: "string"}, "on": {Type: "boolean"},
	}},
}

var testExample = map[string]any{"spec": map[string]any{"size": 2}}

func TestMutationsReachEveryField(t *testing.T) {
	var got []string
	for _, m := range mutate(testSchemas, testSchemas["Thing"], testExample) {
		got = append(got, m.String())
	}
	for _, want := range []string{
		"spec.size=-1", "spec.size=2147483648", `spec.size="1"`, "spec.size removed", "spec=null", "spec removed",
		`spec.mode="Slow"`, `spec.mode="Unknown"`, `spec.mode="fast"`, `spec.parts=[{"name":"a"},{"name":"a"}]`, "spec.parts=[null]",
		`spec.parts[0].name=""`, `spec.parts[0].on="true"`, "spec.own.size=0",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("no mutation %s", want)
		}
	}
	for _, m := range got {
		if strings.Contains(m, "own.own.own") {
			t.Errorf("%s: the schema nests without end", m)
		}
	}
}

func TestAnAbsentParentIsMadeWithItsRequiredFields(t *testing.T) {
	for _, m := range mutate(testSchemas, testSchemas["Thing"], testExample) {
		if m.String() != "spec.parts[0].on=true" {
			continue
		}
		part := lookUp(apply(testExample, m.edits...), "spec", "parts", "0")
		if got, want := describe(part, true), `{"name":"a","on":true}`; got != want {
			t.Fatalf("the part is %s, want %s", got, want)
		}
		return
	}
	t.Fatal("no mutation of an absent list's element")
}

func TestTheSeedChoosesRequestsIndependently(t *testing.T) {
	all := mutate(testSchemas, testSchemas["Thing"], testExample)
	k := &kind{plural: "things", verbs: []string{"update"}}
	ids := func(seed int64, n int, of []mutation, found ...string) (out []string) {
		for _, c := range choose(of, k, seed, n, found) {
			if !strings.Contains(c.id(), " & ") {
				out = append(out, c.id())
			}
		}
		return out
	}
	ten := ids(1, 10, all)
	if len(ten) != 10 || !slices.Equal(ten, ids(1, 10, all)) {
		t.Errorf("one seed chooses %q, then %q", ten, ids(1, 10, all))
	}
	if slices.Equal(ten, ids(2, 10, all)) {
		t.Error("another seed chooses the same")
	}
	if twenty := ids(1, 20, all); !slices.Equal(twenty[:10], ten) {
		t.Errorf("20 requests begin with %q, not with the 10 %q", twenty[:10], ten)
	}
	if got := ids(1, 1, all, "create spec.size=65536"); !slices.Contains(got, "create spec.size=65536") {
		t.Errorf("a found request is not sent: %q", got)
	}
}
