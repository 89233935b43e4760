package apitest_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/schema/core"
)

// TestDryRunInAnotherVersion: what is not stored has no resourceVersion in any version.
func TestDryRunInAnotherVersion(t *testing.T) {
	r, _ := registrytest.New(t)
	e := &corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "e"}, InvolvedObject: corev1.ObjectReference{Namespace: "default"}}
	it, err := r.Create(t.Context(), core.Event, e, registry.WriteOptions{DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	data, err := it.As(t.Context(), core.Event.Versions[0])
	if err != nil || strings.Contains(string(data), "resourceVersion") || !strings.Contains(string(data), "events.k8s.io/v1") {
		t.Errorf("%s, %v", data, err)
	}
}
