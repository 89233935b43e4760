package customresource

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"gantry/schema"
)

const gadgets = `
metadata: {name: gadgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: gadgets, singular: gadget, kind: Gadget, listKind: Gadgets}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        required: [spec]
        properties:
          spec:
            type: object
            required: [replicas, image]
            x-kubernetes-validations:
            - {rule: self.minReplicas <= self.maxReplicas}
            - {rule: self.replicas >= self.minReplicas && self.replicas <= self.maxReplicas}
            properties:
              replicas: {type: integer, minimum: 0}
              minReplicas: {type: integer, default: 0}
              maxReplicas: {type: integer, default: 10}
              image: {type: string, maxLength: 255, pattern: "^[a-z0-9./:_-]+$"}
              strategy: {type: string, enum: [Recreate, Rolling], default: Rolling}
              ports:
                type: array
                maxItems: 16
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items: {type: object, required: [name, port], properties: {name: {type: string}, port: {type: integer, minimum: 1, maximum: 65535}, protocol: {type: string, default: TCP}}}
              rules: {type: array, items: {type: object, properties: {host: {type: string}, paths: {type: array, items: {type: string}}, weight: {type: integer, default: 1}}}}
              env: {type: object, additionalProperties: {type: string}}
          status: {type: object, properties: {ready: {type: integer}}}
`

const gadget = `{"kind":"Gadget","apiVersion":"example.com/v1","metadata":{"name":"one","namespace":"default","uid":"1b7a8a5e-5b1c-4e8f-9d6f-6a2f1f5f0c11",` +
	`"generation":1,"creationTimestamp":"2026-11-28T00:00:00Z","labels":{"app":"bench","tier":"plain"}},"spec":{"replicas":3,"minReplicas":1,"maxReplicas":10,` +
	`"image":"registry.example.com/team/widget:1.2.3","ports":[{"name":"a","port":8000,"protocol":"TCP"},{"name":"b","port":8001,"protocol":"TCP"},` +
	`{"name":"c","port":8002,"protocol":"TCP"}],"rules":[{"host":"host-1.example.com","paths":["/one","/two"],"weight":1},{"host":"host-2.example.com","paths":["/one","/two"],"weight":2},` +
	`{"host":"host-3.example.com","paths":["/one","/two"],"weight":3}],"env":{"MODE":"production","LEVEL":"info","REGION":"eu-central-1"}}}`

// BenchmarkWrite are the parts of a write that differ from those of a built-in kind.
func BenchmarkWrite(b *testing.B) {
	k := kindOf(b, gadgets)
	obj := func(b *testing.B) *unstructured.Unstructured {
		u, _, err := schema.Decode(k.Stored(), []byte(gadget))
		if err != nil {
			b.Fatal(err)
		}
		k.Default(u)
		return u.(*unstructured.Unstructured)
	}
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			obj(b)
		}
	})
	u, old := obj(b), obj(b)
	u.SetResourceVersion("2")
	old.SetResourceVersion("2")
	u.Object["spec"].(map[string]any)["replicas"] = int64(4)
	b.Run("validate", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if errs := k.Validate(u); len(errs) > 0 {
				b.Fatal(errs)
			}
		}
	})
	b.Run("validate-update", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if errs := k.ValidateUpdate(u, old); len(errs) > 0 {
				b.Fatal(errs)
			}
		}
	})
	b.Run("default", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			k.Default(u)
		}
	})
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := schema.EncodeStored(k.Stored(), u); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("copy", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			u.DeepCopy()
		}
	})
}
