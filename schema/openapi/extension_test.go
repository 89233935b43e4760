package openapi

import (
	"encoding/json"
	"strings"
	"testing"

	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kube-openapi/pkg/spec3"
)

var wardle = kschema.GroupVersion{Group: "wardle.example.com", Version: "v1"}

const wardleSwagger = `{"swagger":"2.0","info":{"title":"Wardle","version":"1"},"paths":{
	"/apis/wardle.example.com/v1/flunders":{"get":{"operationId":"listFlunder","produces":["application/json"],
		"responses":{"200":{"description":"OK","schema":{"$ref":"#/definitions/Flunder"}}}}},
	"/apis/wardle.example.com/v2/flunders":{"get":{"operationId":"listOther","responses":{"200":{"description":"OK","schema":{"$ref":"#/definitions/Other"}}}}}},
	"definitions":{"Flunder":{"type":"object"},"Other":{"type":"object"}}}`

func TestPartOf(t *testing.T) {
	part, err := PartOf([]byte(wardleSwagger), wardle)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(part); !strings.Contains(text, "listFlunder") || strings.Contains(text, "Other") {
		t.Errorf("the part is %s", text)
	}
	for _, garbage := range []string{"", "{}", "[]", `{"swagger":"2.0","paths":7}`, `{"paths":{"/apis/wardle.example.com/v1/x":{"get":{"responses":{"200":7}}}}}`} {
		if part, err := PartOf([]byte(garbage), wardle); err == nil {
			t.Errorf("of %q the part is %s", garbage, part)
		}
	}
}

// A server without documents of version 3 has one made of its version 2.
func TestConvertPart(t *testing.T) {
	part, err := PartOf([]byte(wardleSwagger), wardle)
	if err != nil {
		t.Fatal(err)
	}
	text, err := ConvertPart(part)
	if err != nil {
		t.Fatal(err)
	}
	var doc spec3.OpenAPI
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	if path := doc.Paths.Paths["/apis/wardle.example.com/v1/flunders"]; path == nil || path.Get == nil || doc.Components.Schemas["Flunder"] == nil {
		t.Errorf("the document is %s", text)
	}
}
