package encode

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestYAMLIsReadBack checks that what is written as YAML is the same document to other readers of YAML.
func TestYAMLIsReadBack(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 13))
	texts := []string{"web", "", "1", "-1", "1e3", "0x1f", "1_000", "12:30:45", "2001-12-14", "yes", "No", "~", "null", "true", ".inf", "a b", " a", "a ", "a:", "a: b", "a #b", "#", "- a", "-", "?", "*a", "&a", "!a", "|", ">", "%",
		"@a", "`", "{}", "[]", "a,b", "'", "\"", "\\", "nginx:1.25", "registry.k8s.io/pause@sha256:0", "/etc/x", "a\nb", "a\nb\n", "a\n\nb\n", "a\n\n", "\n", "\na", " a\nb", "a\n b\n\tc\n", "a \nb", "a\r\nb", "a\tb", "\u00e9", "\u2028", "\u0085", "\x7f", "\u0080",
		"\U0001f600", "\ufeff", "\x00\x01", "---\na", "a\n---\nb\n", "a\n...\n", "<<", "=", "a\n# b\n", "<script>", "y", "x\n", "{a\nb", "- a\n- b\n"}
	var value func(depth int) any
	value = func(depth int) any {
		switch n := r.IntN(10); {
		case n < 3 && depth > 0:
			m := map[string]any{}
			for range r.IntN(4) {
				m[texts[r.IntN(len(texts))]] = value(depth - 1)
			}
			return m
		case n < 5 && depth > 0:
			l := []any{}
			for range r.IntN(4) {
				l = append(l, value(depth-1))
			}
			return l
		case n == 5:
			return []any{nil, true, false, 1.0, 1.5, -3.0, 1e21, 0.0}[r.IntN(8)]
		}
		return texts[r.IntN(len(texts))]
	}
	for range 4_000 {
		doc := map[string]any{"a": value(4)}
		body, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		out, err := toYAML(t.Context(), body)
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		back := map[string]any{}
		if err := yaml.Unmarshal(out, &back); err != nil || !reflect.DeepEqual(doc, back) {
			t.Fatalf("%s becomes\n%s\nwhich is read as %v (%v)", body, out, back, err)
		}
	}
}

func TestYAMLLooksLikeYAML(t *testing.T) {
	body := `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","finalizers":["x/y"],"labels":{}},"data":{"n":"1","script":"set -e\n\necho\n"},"list":[{"b":1,"a":[]},[1,[2]],{}]}`
	want := `apiVersion: v1
data:
  "n": "1"
  script: |
    set -e

    echo
kind: ConfigMap
list:
- a: []
  b: 1
- - 1
  - - 2
- {}
metadata:
  finalizers:
  - x/y
  labels: {}
  name: a
`
	got, err := toYAML(t.Context(), []byte(body))
	if err != nil || string(got) != want {
		t.Errorf("%s (%v)\nwant\n%s", got, err, want)
	}
}

// TestNestedValuesStayCompact checks that the indentation of deeply nested values is bounded.
func TestNestedValuesStayCompact(t *testing.T) {
	deep := []byte(`{"a":` + strings.Repeat(`{"f:x":`, 5000) + `{}` + strings.Repeat(`}`, 5000) + `}`)
	for name, write := range map[string]func([]byte) ([]byte, error){"pretty": indent, "yaml": func(body []byte) ([]byte, error) { return toYAML(t.Context(), body) }} {
		out, err := write(deep)
		if err != nil || !bytes.Equal(out, deep) {
			t.Errorf("%s: %d bytes became %d (%v)", name, len(deep), len(out), err)
		}
		list := []byte(fmt.Sprintf(`{"l":[%s1]}`, strings.Repeat("[[],[]],", 1000)))
		if out, err := write(list); err != nil || bytes.Equal(out, list) || len(out) > maxReadable*len(list) {
			t.Errorf("%s: %d bytes of lists became %d (%v)", name, len(list), len(out), err)
		}
	}
}
