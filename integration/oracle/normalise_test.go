package main

import (
	"net/http"
	"testing"
)

func TestNormalise(t *testing.T) {
	tests := []struct{ name, sent, body, want string }{
		{"uid, time, version", "", `{"metadata":{"uid":"df6e09ed-7d47-4a97-b34c-9b8834584f87","creationTimestamp":"2026-01-02T03:04:05Z","resourceVersion":"77"}}`,
			`{"metadata":{"creationTimestamp":"<time>","resourceVersion":"<rv>","uid":"<uid>"}}`},
		{"what was sent stays", `["2026-01-02T03:04:05Z"]`, `{"spec":{"at":"2026-01-02T03:04:05Z","other":"2026-01-02T03:04:06Z"}}`,
			`{"spec":{"at":"2026-01-02T03:04:05Z","other":"<time>"}}`},
		{"version 0 stays", "", `{"metadata":{"resourceVersion":"0"}}`, `{"metadata":{"resourceVersion":"0"}}`},
		{"generated name", `["gen-","metadata.generateName"]`, `{"metadata":{"generateName":"gen-","name":"gen-x2x4z"},"message":"no \"gen-x2x4z\""}`,
			`{"message":"no \"gen-<generated>\"","metadata":{"generateName":"gen-","name":"gen-<generated>"}}`},
		{"allocated address and port", "", `{"spec":{"clusterIP":"10.96.3.4","ports":[{"nodePort":31234,"port":80}]}}`,
			`{"spec":{"clusterIP":"<address>","ports":[{"nodePort":"<port>","port":80}]}}`},
		{"ages", "", `{"kind":"Table","rows":[{"cells":["a","3m5s","1"]}]}`, `{"kind":"Table","rows":[{"cells":["a","<age>","1"]}]}`},
		{"managers", "", `{"metadata":{"managedFields":[{"manager":"b"},{"manager":"a"}]}}`, `{"metadata":{"managedFields":[{"manager":"a"},{"manager":"b"}]}}`},
		{"patched object", "", `{"causes":[{"field":"patch","message":"Invalid value: \"{\\\"a\\\":1}\": bad"}]}`, `{"causes":[{"field":"patch","message":"Invalid value: <object>: bad"}]}`},
		{"progress", "", `{"type":"ADDED"}{"type":"BOOKMARK"}`, `[{"type":"ADDED"}]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &response{code: 200, header: http.Header{"Content-Type": {typeJSON}}, body: []byte(tt.body)}
			got := normalise(r, decode(r), []byte(tt.sent))
			if text := plain(got.body); text != tt.want {
				t.Errorf("got  %s\nwant %s", text, tt.want)
			}
		})
	}
}
