package patch

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	kjson "sigs.k8s.io/json"

	"gantry/schema"
	"gantry/schema/core"
)

// theirs is what the library makes of a patch; ok is false where it panics.
func theirs(apply func() ([]byte, error)) (out []byte, err error, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	out, err = apply()
	return out, err, true
}

func libraryJSON(current, patch []byte) ([]byte, error) {
	operations, err := jsonpatch.DecodePatch(patch)
	if err != nil {
		return nil, err
	}
	o := jsonpatch.NewApplyOptions()
	o.AccumulatedCopySizeLimit = maxBytes
	o.EscapeHTML = false
	return operations.ApplyWithOptions(current, o)
}

// TestJSONIsAsTheLibrarys compares results and texts of errors for operations at random.
func TestJSONIsAsTheLibrarys(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 9))
	for range 8_000 {
		current := objectText(r, 3)
		var operations []string
		for range 1 + r.IntN(5) {
			operations = append(operations, operation(r))
		}
		patch := "[" + strings.Join(operations, ",") + "]"
		want, wantErr, ok := theirs(func() ([]byte, error) { return libraryJSON([]byte(current), []byte(patch)) })
		if !ok {
			continue
		}
		got, err := applyJSON(core.Pod.Stored(), []byte(current), []byte(patch))
		compare(t, current, patch, want, wantErr, got, err)
		if t.Failed() {
			return
		}
	}
}

func compare(t *testing.T, current, patch string, want []byte, wantErr error, got []byte, err error) {
	t.Helper()
	switch {
	case (err != nil) != (wantErr != nil):
		t.Errorf("%s applied to %s: %s, error %v; the library makes %s, error %v", patch, current, got, err, want, wantErr)
	case err != nil:
		// Where a root is no object the library says so in terms of its own types.
		if err.Error() != wantErr.Error() && !strings.Contains(wantErr.Error(), "*jsonpatch.") {
			t.Errorf("%s applied to %s: error %q, the library's is %q", patch, current, err, wantErr)
		}
	default:
		if diff := cmp.Diff(decodeJSON(t, string(want)), decodeJSON(t, string(got))); diff != "" {
			t.Errorf("%s applied to %s makes %s (-library +own):\n%s", patch, current, got, diff)
		}
	}
}

var (
	testKeys = []string{"a", "b", "c", "", "a/b", "~", "\u00e9", "0", "1"}
	pointers = []string{"a", "b", "c", "", "a~1b", "~0", "\u00e9", "0", "1", "-", "-1", "2", "01"}
)

// objectText is a JSON object at random, in some white space.
func objectText(r *rand.Rand, depth int) string {
	var members []string
	for _, i := range r.Perm(len(testKeys))[:r.IntN(4)] {
		members = append(members, fmt.Sprintf("%q%s:%s", testKeys[i], space(r), anything(r, depth-1)))
	}
	return "{" + strings.Join(members, space(r)+",") + "}"
}

func space(r *rand.Rand) string { return strings.Repeat(" ", r.IntN(3)/2) }

func anything(r *rand.Rand, depth int) string {
	n := 10
	if depth <= 0 {
		n = 6
	}
	switch r.IntN(n) {
	case 0:
		return "null"
	case 1:
		return "true"
	case 2:
		return []string{"1", "1.0", "-5", "1e3"}[r.IntN(4)]
	case 3, 4, 5:
		return []string{`"x"`, `"<y>"`, `"\u0078"`, `""`}[r.IntN(4)]
	case 6, 7:
		var elements []string
		for range r.IntN(4) {
			elements = append(elements, anything(r, depth-1))
		}
		return "[" + strings.Join(elements, ","+space(r)) + "]"
	}
	return objectText(r, depth)
}

func pointer(r *rand.Rand) (path string) {
	if r.IntN(40) == 0 {
		return []string{"", "x"}[r.IntN(2)]
	}
	for range 1 + r.IntN(3) {
		path += "/" + pointers[r.IntN(len(pointers))]
	}
	return path
}

func operation(r *rand.Rand) string {
	op := []string{"add", "remove", "replace", "test", "move", "copy"}[r.IntN(6)]
	path := pointer(r)
	fields := fmt.Sprintf(`"op":%q,"path":%q`, op, path)
	switch op {
	case "add", "replace", "test":
		value := anything(r, 2)
		if op == "replace" && path == "" && value == "null" {
			value = "{}" // the library goes on with a document that it panics about later
		}
		fields += `,"value":` + value
	case "move", "copy":
		fields += fmt.Sprintf(`,"from":%q`, pointer(r))
	}
	return "{" + fields + "}"
}

// TestLongListsAreAsTheLibrarys does so for lists of several pieces.
func TestLongListsAreAsTheLibrarys(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{0, 1, pieceSize - 1, pieceSize, pieceSize + 1, 5 * pieceSize} {
		list := make([]int, size)
		for i := range list {
			list[i] = i
		}
		current, err := json.Marshal(map[string]any{"l": list})
		if err != nil {
			t.Fatal(err)
		}
		var operations []string
		for n := range 1000 {
			switch r.IntN(5) {
			case 0, 1:
				operations = append(operations, fmt.Sprintf(`{"op":"add","path":"/l/%d","value":"n%d"}`, r.IntN(size+1), n))
				size++
			case 2:
				operations = append(operations, `{"op":"add","path":"/l/-","value":true}`)
				size++
			case 3:
				operations = append(operations, fmt.Sprintf(`{"op":"copy","from":"/l/%d","path":"/l/0"}`, max(0, size-1)))
				size++
			}
			if size > 1 {
				operations = append(operations, fmt.Sprintf(`{"op":"remove","path":"/l/%d"}`, r.IntN(size)))
				size--
			}
		}
		if size == 0 {
			continue
		}
		patch := "[" + strings.Join(operations, ",") + "]"
		want, wantErr := libraryJSON(current, []byte(patch))
		got, err := applyJSON(core.Pod.Stored(), current, []byte(patch))
		compare(t, "a list", "operations", want, wantErr, got, err)
	}
}

func libraryStrategic(v *schema.Version, current, patch []byte) ([]byte, error) {
	into, from, err := decodeBoth(current, patch, kjson.UnmarshalCaseSensitivePreserveInts)
	if err != nil {
		return nil, err
	}
	merged, err := strategicpatch.StrategicMergeMapPatch(into, from, v.New())
	if err != nil {
		return nil, err
	}
	return encode(merged)
}

// TestStrategicIsAsTheLibrarys compares results and errors for patches of pods at random: lists with and without merge key,
// of numbers and texts, with every directive.
func TestStrategicIsAsTheLibrarys(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	applied := 0
	for range 8_000 {
		current, patch := podText(r, false), podText(r, true)
		want, wantErr, ok := theirs(func() ([]byte, error) { return libraryStrategic(core.Pod.Stored(), []byte(current), []byte(patch)) })
		if !ok {
			continue
		}
		got, err := applyStrategic(core.Pod.Stored(), []byte(current), []byte(patch))
		if (err != nil) != (wantErr != nil) {
			t.Fatalf("%s applied to %s: %s, error %v; the library makes %s, error %v", patch, current, got, err, want, wantErr)
		}
		if err != nil {
			continue // with several errors, which of them is named is by chance
		}
		applied++
		if diff := cmp.Diff(decodeJSON(t, string(want)), decodeJSON(t, string(got))); diff != "" {
			t.Fatalf("%s applied to %s makes %s (-library +own):\n%s", patch, current, got, diff)
		}
	}
	if applied < 2_000 {
		t.Errorf("only %d of the patches fitted", applied)
	}
}

// podText is a pod, or a patch of one, at random.
func podText(r *rand.Rand, patch bool) string {
	d := func(text string, one int) string { // a directive, rarely
		if patch && r.IntN(one) == 0 {
			return text
		}
		return ""
	}
	var meta, spec []string
	add := func(to *[]string, format string, args ...any) { *to = append(*to, fmt.Sprintf(format, args...)) }
	if r.IntN(2) == 0 {
		add(&meta, `"labels":{%q:%s}`, testKeys[r.IntN(3)], []string{`"1"`, `"2"`, "null"}[r.IntN(3)])
	}
	if finalizers := words(r); r.IntN(2) == 0 {
		add(&meta, `"finalizers":%s`, finalizers)
		if d("x", 4) != "" {
			add(&meta, `"$setElementOrder/finalizers":%s`, finalizers)
		}
	} else if d("x", 3) != "" {
		add(&meta, `"$deleteFromPrimitiveList/finalizers":%s`, finalizers)
	}
	for _, field := range []string{"containers", "initContainers"} {
		if r.IntN(3) == 0 {
			continue
		}
		list, order := elements(r, patch, "name", `"image":%q,"env":%s,"args":%s,"ports":%s`)
		add(&spec, `%q:%s`, field, list)
		if d("x", 2) != "" {
			add(&spec, `"$setElementOrder/%s":%s`, field, order)
		}
	}
	if r.IntN(2) == 0 {
		add(&spec, `"tolerations":[{"key":%q}]`, testKeys[r.IntN(3)])
	}
	if r.IntN(2) == 0 {
		volume := fmt.Sprintf(`{"name":"v",%q:{}%s}`, []string{"emptyDir", "hostPath"}[r.IntN(2)], d(`,"$retainKeys":["name","hostPath"]`, 2))
		add(&spec, `"volumes":[%s]`, volume)
	}
	if r.IntN(3) == 0 {
		add(&spec, `"securityContext":{"runAsUser":%s%s}`, []string{"1", "null"}[r.IntN(2)], d(`,"$patch":"replace"`, 3))
	}
	return fmt.Sprintf(`{"metadata":{%s},"spec":{%s}}`, strings.Join(meta, ","), strings.Join(spec, ","))
}

// words is a list of texts, each once: what the library makes of others depends on where the list's memory ends.
func words(r *rand.Rand) string {
	var out []string
	for _, i := range r.Perm(3)[:r.IntN(4)] {
		out = append(out, fmt.Sprintf("%q", testKeys[i]))
	}
	return "[" + strings.Join(out, ",") + "]"
}

// elements is a list with a merge key, and an order that it may be in.
func elements(r *rand.Rand, patch bool, key, rest string) (list, order string) {
	var all, keys []string
	for range r.IntN(5) {
		name := "c" + string(rune('0'+r.IntN(5)))
		element := fmt.Sprintf(`%q:%q`, key, name)
		switch {
		case patch && r.IntN(8) == 0:
			element += `,"$patch":"delete"`
		case patch && r.IntN(30) == 0:
			element = `"$patch":"replace"`
		case patch && r.IntN(40) == 0:
			element = `"image":"without a key"`
		case rest != "":
			env, _ := elements(r, patch, "name", "")
			ports := fmt.Sprintf(`[{"containerPort":8%d,"protocol":%q}]`, r.IntN(3), []string{"TCP", "UDP"}[r.IntN(2)])
			element += "," + fmt.Sprintf(rest, testKeys[r.IntN(3)], env, words(r), ports)
		}
		all = append(all, "{"+element+"}")
		keys = append(keys, fmt.Sprintf(`{%q:%q}`, key, name))
	}
	if r.IntN(2) == 0 {
		keys = append(keys, fmt.Sprintf(`{%q:"c%d"}`, key, r.IntN(5)))
	}
	return "[" + strings.Join(all, ",") + "]", "[" + strings.Join(keys, ",") + "]"
}

// TestDuplicatesAreAsTheLibrarys compares with what decoding strictly says.
func TestDuplicatesAreAsTheLibrarys(t *testing.T) {
	for _, text := range []string{
		`{"a":1,"a":2}`, `{"a":{"b":1,"b":2,"b":3},"a":[]}`, `[{"op":"add","op":"test","value":{"x":1,"x":2}},{"a":1}]`, `{"a":[[{"b":1,"b":1}]]}`,
		`{"\u0061":1,"a":2}`, `{"a.b":{"c\"":1,"c\"":2}}`, `{}`, `[]`, `[1,[],{}]`, ` { "a" : 1 , "a" : "}" } `, `"x"`, `{"a":1`, `{"":1,"":2}`, `{"é":1,"é":2}`,
	} {
		var doc any
		strict, err := kjson.UnmarshalStrict([]byte(text), &doc, kjson.DisallowDuplicateFields)
		var want []string
		for _, e := range strict {
			if err == nil {
				want = append(want, e.Error())
			}
		}
		if diff := cmp.Diff(want, Duplicates([]byte(text))); diff != "" {
			t.Errorf("duplicates of %s (-want +got):\n%s", text, diff)
		}
	}
}
