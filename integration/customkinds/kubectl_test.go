package customkinds

import (
	"strings"
	"testing"
)

const widget = `
apiVersion: example.com/v1
kind: Widget
metadata: {name: w}
spec: {colour: green, items: [{name: a, value: one}]}
`

// TestKubectl walks through what people do with custom kinds.
func TestKubectl(t *testing.T) {
	c := start(t)
	for _, s := range []struct {
		stdin string
		args  string
		want  []string
	}{
		{widgets, "apply -f -", []string{"customresourcedefinition.apiextensions.k8s.io/widgets.example.com created"}},
		{"", "wait --for=condition=Established crd/widgets.example.com --timeout=60s", []string{"condition met"}},
		{"", "get crd", []string{"NAME", "CREATED AT", "widgets.example.com"}},
		{"", "api-resources --api-group=example.com", []string{"widgets", "wd", "example.com/v1", "true", "Widget"}},
		{widget, "apply -f -", []string{"widget.example.com/w created"}},
		{widget, "apply -f -", []string{"widget.example.com/w unchanged"}},
		{"", "get wd", []string{"COLOUR", "REPLICAS", "green", "1"}},
		{"", "get widgets.v1alpha1.example.com", []string{"Warning: example.com/v1alpha1 Widget is deprecated; use example.com/v1 Widget", "NAME"}},
		{"", "get all", []string{"widget.example.com/w"}},
		{"", "get widget w -o jsonpath={.spec.replicas}/{.metadata.generation}", []string{"1/1"}},
		{"", "get widgets --field-selector=spec.colour=green -o name", []string{"widget.example.com/w"}},
		{"", "get widgets --field-selector=spec.colour=red", []string{"No resources found"}},
		{"", `! get widgets --field-selector=spec.size=1`, []string{"field label not supported: spec.size"}},
		{strings.Replace(widget, "spec: {", "spec: {bogus: 1, ", 1), "! apply -f -", []string{`strict decoding error: unknown field "spec.bogus"`}},
		{strings.Replace(widget, "spec: {", "spec: {bogus: 1, ", 1), "apply --validate=warn -f -", []string{`unknown field "spec.bogus"`, "configured"}},
		{"", `! patch widget w --type=merge -p {"spec":{"replicas":11,"colour":"blue"}}`, []string{
			`spec.colour: Unsupported value: "blue": supported values: "red", "green", "fixed"`, "spec.replicas in body should be less than or equal to 10"}},
		{"", `! patch widget w --type=merge -p {"spec":{"min":2}}`, []string{"replicas must be at least min"}},
		{"", `patch widget w --type=json -p [{"op":"replace","path":"/spec/colour","value":"fixed"}]`, []string{"patched"}},
		{"", `! patch widget w --type=merge -p {"spec":{"colour":"red"}}`, []string{"spec: Invalid value: colour fixed stays"}},
		{"", "scale widget w --replicas=3", []string{"scaled"}},
		{"", `patch widget w --subresource=status --type=merge -p {"status":{"replicas":3},"spec":{"replicas":9}}`, []string{"patched"}},
		{"", "get widget w -o jsonpath={.spec.replicas}/{.status.replicas}/{.metadata.generation}", []string{"3/3/3"}},
		{strings.NewReplacer("green", "fixed", "name: a, value: one", "name: b, value: two").Replace(widget), "apply --server-side --force-conflicts -f -", []string{"serverside-applied"}},
		{"", "get widget w -o jsonpath={.spec.items[*].name}", []string{"b"}},
		{"", "explain widget.spec.colour", []string{"FIELD: colour", "ENUM", "fixed"}},
		{"", "label widget w a=b", []string{"labeled"}},
		{"", "describe widget w", []string{"Colour:", "Replicas:"}},
		{"", "get apiservice v1.example.com", []string{"Local", "True"}},
		{"", "create namespace shop", []string{"created"}},
		{widget, "create -n shop -f -", []string{"created"}},
		{"", "delete namespace shop --timeout=60s", []string{"deleted"}},
		{"", "! get widget w -n shop", []string{"NotFound"}},
		{"", "delete crd widgets.example.com --timeout=60s", []string{"deleted"}},
		{"", "! get --raw /apis/example.com/v1/widgets", []string{"NotFound"}},
	} {
		out := c.Kubectl(s.stdin, strings.Fields(s.args)...)
		for _, want := range s.want {
			if !strings.Contains(out, want) {
				t.Errorf("kubectl %s: got\n%s\nwant %q in it", s.args, out, want)
			}
		}
	}
}
