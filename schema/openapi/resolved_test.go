package openapi

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

type tree struct {
	Name     string          `json:"name"`
	Branches map[string]tree `json:"branches,omitempty"`
}

func TestResolved(t *testing.T) {
	pod, err := Resolved(reflect.TypeFor[*corev1.Pod]())
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(pod)
	if err != nil || strings.Contains(string(text), `"$ref"`) {
		t.Errorf("there are references: %v", err)
	}
	container := pod.Properties["spec"].Properties["containers"].Items.Schema
	if got := container.Properties["image"].Type; len(got) != 1 || got[0] != "string" || !strings.HasPrefix(container.Description, "A single application container") {
		t.Errorf("a container is %+v", container)
	}
	self, err := Resolved(reflect.TypeFor[tree]())
	if err != nil {
		t.Fatal(err)
	}
	branch := self.Properties["branches"].AdditionalProperties.Schema
	if branch.Type[0] != "object" || branch.Properties != nil {
		t.Errorf("a type within itself is %+v", branch)
	}
}
