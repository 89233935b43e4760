package apitest_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/schema/core"
)

// TestTooLongListsAreNotValidated: a list that nothing runs is refused as such, before the object is defaulted and validated.
func TestTooLongListsAreNotValidated(t *testing.T) {
	r, _ := registrytest.New(t)
	p := registrytest.Pod("p")
	p.Spec.Containers = make([]corev1.Container, 10_000)
	_, err := r.Create(registrytest.Context(t), core.Pod, p, registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Invalid, "spec.containers: Too many: 10000: must have at most 1000 items")
	if strings.Contains(err.Error(), "Required") {
		t.Errorf("the error %v says more", err)
	}
}

// TestManyErrorsEnd: the list of errors of an object ends and says how many more there are.
func TestManyErrorsAreTruncated(t *testing.T) {
	r, _ := registrytest.New(t)
	p := registrytest.Pod("p")
	p.Spec.Containers[0].Env = make([]corev1.EnvVar, 5_000)
	_, err := r.Create(registrytest.Context(t), core.Pod, p, registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Invalid, "...: Too many: 4500: more errors, which are not listed")
}
