package main

import "testing"

func TestApply(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"set", `example; spec.a=2`, `{"spec":{"a":2,"list":[{"b":1},{"b":2}]}}`},
		{"make parents", `example; status.x.y[0].z="1"`, `{"spec":{"a":1,"list":[{"b":1},{"b":2}]},"status":{"x":{"y":[{"z":"1"}]}}}`},
		{"remove", `example; spec.a-`, `{"spec":{"list":[{"b":1},{"b":2}]}}`},
		{"remove what is absent", `example; spec.x.y-`, `{"spec":{"a":1,"list":[{"b":1},{"b":2}]}}`},
		{"remove an element", `example; spec.list[0]-`, `{"spec":{"a":1,"list":[{"b":2}]}}`},
		{"a key with dots", `example; m["a.b/c"]="="`, `{"m":{"a.b/c":"="},"spec":{"a":1,"list":[{"b":1},{"b":2}]}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doc := decodeJSON([]byte(`{"spec":{"a":1,"list":[{"b":1},{"b":2}]}}`))
			before := describe(doc, true)
			b, err := parseBody(tt.body)
			if err != nil {
				t.Fatal(err)
			}
			if got := describe(apply(doc, b.edits...), true); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if after := describe(doc, true); after != before {
				t.Errorf("the document itself is now %s", after)
			}
		})
	}
}

func TestParseCaseRefusesNonsense(t *testing.T) {
	for _, line := range []string{"only a name", "name | GET /x | example; a", "name | GET /x | live; a={"} {
		if _, err := parseCase(line); err == nil {
			t.Errorf("%q is taken for a case", line)
		}
	}
}
