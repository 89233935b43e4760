package controller_test

import (
	"errors"
	"testing"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/schema"
	"gantry/schema/core"
)

// The error for a kind that is not served differs from that for an object that does not exist.
func TestNotServed(t *testing.T) {
	r, _ := registrytest.New(t)
	widgets := &schema.Kind{
		Version: schema.Version{Group: "example.com", Version: "v1", Kind: "Widget", New: schema.NewUnstructured, NewList: schema.NewUnstructuredList},
		Plural:  "widgets", Singular: "widget", Namespaced: true, Prefix: "example.com/widgets",
	}
	for _, version := range []string{"", "0"} {
		if _, err := r.Get(t.Context(), widgets, "default", "x", version); !controller.NotServed(err) {
			t.Errorf("a kind that is not served: %v", err)
		}
		if _, err := r.Get(t.Context(), core.Secret, "default", "x", version); controller.NotServed(err) || !errors.Is(err, registry.NotFound) {
			t.Errorf("an object that does not exist: %v", err)
		}
	}
	if _, err := r.List(t.Context(), widgets, "", registry.ListOptions{}); !controller.NotServed(err) {
		t.Errorf("listing a kind that is not served: %v", err)
	}
	if controller.NotServed(nil) {
		t.Error("no error says that a kind is not served")
	}
}
