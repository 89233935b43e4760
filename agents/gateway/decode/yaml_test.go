package decode

import (
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestYAMLIsTheLibrarys compares the conversion of YAML with that of sigs.k8s.io/yaml.
func TestYAMLIsTheLibrarys(t *testing.T) {
	for _, text := range yamlSamples {
		compareYAML(t, text)
	}
}

var yamlSamples = []string{
	"a: 1\nb: [x, 'y', \"z\\n\"]\nc: {d: null, e: ~, f: }\n", "yes: no\non: off\ntrue: false\n", "1: a\n1.5: b\n-0x10: c\n1e3: d\n", ".inf: 1\n.nan: 2\n-.inf: 3\n",
	"a: .inf\n", "a: .nan\n", "a: 18446744073709551615\nb: -9223372036854775808\nc: 0777\nd: 0x1F\ne: 1_000\nf: 1e400\n", "a: 2001-12-14t21:59:43.10-05:00\nb: 2002-12-14\n",
	"a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n  e: 2\n", "a: &x [1, 2]\nb: [*x, *x]\n", "a: |\n  text\n  more\nb: >-\n  folded\n  too\n", "a: !!binary aGVsbG8=\nb: !!str 1\nc: !!int '5'\n",
	"", "---\n", "# nothing\n", "just text", "- 1\n- [2]\n", "a: 1\na: 2\n", "1: a\n'1': a\n", "? [a]\n: b\n", "? {a: b}\n: c\n", "~: a\n", "null: x\n", "a: *none\n", "a: &x [*x]\n",
	"\u00e9: \u2028<&>\n", "a: \"\\0\\x07\\u263a\"\n", "a: b\n---\nc: d\n", "{a: b", "a: b: c", "\ta: b", "a: 'it''s'", "\xff", "a: \"\\ud800\"", "!foo bar", "a: !!float 1\n", "18446744073709551615: x\n",
}

func compareYAML(t *testing.T, text string) {
	t.Helper()
	want, wantErr := yaml.YAMLToJSON([]byte(text))
	got, err := yamlToJSON([]byte(text))
	if (err != nil) != (wantErr != nil) || err != nil && err.Error() != "error converting YAML to JSON: "+wantErr.Error() {
		t.Errorf("%q: error %v, the library's is %v", text, err, wantErr)
		return
	}
	if err != nil {
		return
	}
	var a, b any
	if err := errors.Join(json.Unmarshal(want, &a), json.Unmarshal(got, &b)); err != nil || !reflect.DeepEqual(a, b) {
		t.Errorf("%q becomes %s, the library makes %s of it (%v)", text, got, want, err)
	}
}

func FuzzYAML(f *testing.F) {
	for _, text := range yamlSamples {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) < 200 && !strings.Contains(text, "null") && !strings.Contains(text, "~") {
			compareYAML(t, text)
		}
	})
}

// TestAliasesAreCounted checks that a text of 1 MB that 300 aliases name is not written 300 times.
func TestAliasesAreCounted(t *testing.T) {
	body := "a: &x " + strings.Repeat("x", 1<<20) + "\nlist: [" + strings.Repeat("*x, ", 300) + "]\n"
	_, err := yamlToJSON([]byte(body))
	var large *http.MaxBytesError
	if !errors.As(err, &large) {
		t.Errorf("error %v", err)
	}
}
