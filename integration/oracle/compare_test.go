package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// plain is JSON with < and > as they are.
func plain(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(b.String())
}

func status(code int, message string, causes ...string) answer {
	var list []any
	for _, c := range causes {
		field, text, _ := strings.Cut(c, ": ")
		list = append(list, map[string]any{"field": field, "reason": "R", "message": text})
	}
	return answer{code: code, body: map[string]any{"kind": "Status", "message": message, "details": map[string]any{"causes": list}}}
}

func object(text string) answer { return answer{code: 200, body: decodeJSON([]byte(text))} }

func TestCompare(t *testing.T) {
	tests := []struct {
		name   string
		up, ga answer
		want   []string
	}{
		{"equal", object(`{"a":1}`), object(`{"a":1}`), nil},
		{"code", status(422, "bad", "spec.a: x"), object(`{}`), []string{"code: 422 bad / 200"}},
		{"fields", object(`{"a":1,"b":[{"c":1}],"d":1}`), object(`{"a":"1","b":[{"c":2}],"e":1}`), []string{`a: 1 / "1"`, "b[0].c: 1 / 2", "d: 1 / absent", "e: absent / 1"}},
		{"a missing rule", status(422, "m", "spec.a: x", "spec.b: y"), status(422, "n", "spec.b: y"), []string{"cause: R x / absent"}},
		{"another text", status(422, "m", "spec.a: x"), status(422, "n", "spec.a: z"), []string{"cause: R x / R z"}},
		{"another order", status(422, "m", "spec.a: x", "spec.b: y"), status(422, "n", "spec.b: y", "spec.a: x"), []string{"order of causes: spec.a, spec.b / spec.b, spec.a"}},
		{"the order of a map", status(422, "m", "labels: x", "labels: y"), status(422, "n", "labels: y", "labels: x"), nil},
		{"message", status(404, "m"), status(404, "n"), []string{`message: "m" / "n"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, d := range compare(tt.up, tt.ga) {
				got = append(got, d.path+": "+d.upstream+" / "+d.gantry)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestOneCauseIsOneGroup(t *testing.T) {
	pods, jobs := &kind{plural: "pods", kind: "Pod", version: "v1"}, &kind{group: "batch", version: "v1", plural: "jobs", kind: "Job"}
	e := func(k *kind, path, up, ga string) entry {
		return entry{result{kind: k, id: "create"}, difference{path: path, upstream: up, gantry: ga}}
	}
	got := groupEntries([]entry{
		e(pods, "code", `422 Pod "a" is invalid: spec.a: Invalid value: -1: must be greater than or equal to 0`, "201"),
		e(jobs, "code", `422 Job.batch "b" is invalid: spec.b[0].c: Invalid value: -7: must be greater than or equal to 0`, "201"),
		e(pods, "items[0].metadata.x", `"1"`, "absent"),
		e(pods, "metadata.x", `"2"`, "absent"),
		e(jobs, "code", "201", "415 no such format"),
		e(jobs, "code", "422 anything", "415 no such format"),
		e(jobs, "spec.a", "1", "2"),
	})
	var counts []int
	for _, g := range got {
		counts = append(counts, g.count)
	}
	if !slices.Equal(counts, []int{2, 2, 2, 1}) {
		for _, g := range got {
			t.Log(g.count, g.key)
		}
		t.Errorf("the groups have %v differences, want 2, 2, 2 and 1", counts)
	}
}

func TestAcceptedDifferencesAreSubtracted(t *testing.T) {
	list := []*acceptance{{pattern: regexp.MustCompile(`^pods .* metadata\.x: upstream .*, gantry absent$`)}}
	k := &kind{plural: "pods"}
	shares, left := subtract([]result{
		{kind: k, id: "a", differences: []difference{{path: "items[0].metadata.x", upstream: "1", gantry: absent}}},
		{kind: k, id: "b", differences: []difference{{path: "metadata.x", upstream: "1", gantry: absent}, {path: "code", upstream: "1", gantry: "2"}}},
		{kind: k, id: "c"},
	}, list)
	if want := (share{"pods", 3, 1, 1}); shares[0] != want {
		t.Errorf("the share is %+v, want %+v", shares[0], want)
	}
	if len(left) != 1 || left[0].path != "code" || list[0].count != 2 {
		t.Errorf("left are %+v, the acceptance was used %d times", left, list[0].count)
	}
}

func TestTheRepositorysFilesAreRead(t *testing.T) {
	if list, err := readAccepted("README.md"); err != nil || len(list) == 0 {
		t.Errorf("the README accepts %d differences: %v", len(list), err)
	}
	files, err := filepath.Glob("testdata/requests/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if cases, err := readCases(f); err != nil || len(cases) == 0 {
			t.Errorf("%s has %d cases: %v", f, len(cases), err)
		}
	}
	if _, err := os.Stat("testdata/examples/core_pod.yaml"); err != nil {
		t.Error(err)
	}
}
