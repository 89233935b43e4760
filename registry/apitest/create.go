package apitest

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/schema/core"
)

func testCreate(t *testing.T, s suite) {
	obj := configMap("a", "1")
	it, err := s.api.Create(s.ctx, core.ConfigMap, obj, registry.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if it.Revision == 0 || it.UID() == "" || it.Object().GetCreationTimestamp().Time.IsZero() || value(it) != "1" {
		t.Errorf("Create = %s at %d", it.JSON, it.Revision)
	}
	if obj.UID != "" || obj.ResourceVersion != "" || !obj.CreationTimestamp.IsZero() {
		t.Errorf("the caller's object was changed: %+v", obj.ObjectMeta)
	}
	generated := configMap("", "2")
	generated.GenerateName = "g-"
	if it, err = s.api.Create(s.ctx, core.ConfigMap, generated, registry.WriteOptions{}); err != nil || !strings.HasPrefix(it.Name, "g-") || len(it.Name) <= 2 {
		t.Errorf("a generated name: %v, %v", it, err)
	}
}

func testCreateRefuses(t *testing.T, s suite) {
	s.create("a", "1")
	_, err := s.api.Create(s.ctx, core.ConfigMap, configMap("a", "2"), registry.WriteOptions{})
	s.fails("a name that is taken", err, registry.Exists, "a")
	_, err = s.api.Create(s.ctx, core.ConfigMap, configMap("A_b", "2"), registry.WriteOptions{})
	s.fails("a name that is none", err, registry.Invalid, "A_b")
	versioned := configMap("b", "2")
	versioned.ResourceVersion = "5"
	if _, err = s.api.Create(s.ctx, core.ConfigMap, versioned, registry.WriteOptions{}); !errors.Is(err, registry.BadRevision) {
		t.Errorf("a new object with a resourceVersion: %v", err)
	}
	elsewhere := configMap("b", "2")
	elsewhere.Namespace = "none"
	if _, err = s.api.Create(s.ctx, core.ConfigMap, elsewhere, registry.WriteOptions{}); !errors.Is(err, registry.NotFound) {
		t.Errorf("a namespace that there is not: %v", err)
	}
	if got := value(s.get("a")); got != "1" {
		t.Errorf("a refused creation changed the object to %q", got)
	}
}

func testCreateErrors(t *testing.T, s suite) {
	registrytest.Must(t)(s.api.Create(s.ctx, core.ConfigMap, registrytest.ConfigMap("a"), registry.WriteOptions{}))
	withRevision := registrytest.ConfigMap("b")
	withRevision.ResourceVersion = "5"
	elsewhere := registrytest.ConfigMap("b")
	elsewhere.Namespace = "nowhere"
	nameless := registrytest.ConfigMap("")
	for _, c := range []struct {
		name string
		in   *corev1.ConfigMap
		kind registry.ErrorKind
		text string
	}{
		{"a name that is taken", registrytest.ConfigMap("a"), registry.Exists, `"a" already exists`},
		{"a resourceVersion", withRevision, registry.BadRevision, "resourceVersion should not be set on objects to be created"},
		{"no such namespace", elsewhere, registry.NotFound, `namespaces "nowhere" not found`},
		{"no name", nameless, registry.Invalid, "metadata.name: Required value: name or generateName is required"},
		{"a name with a slash", registrytest.ConfigMap("a/b"), registry.Invalid, "metadata.name: Invalid value"},
		{"a name of dots", registrytest.ConfigMap(".."), registry.Invalid, "metadata.name: Invalid value"},
		{"a value too large", registrytest.ConfigMap("b", "k", strings.Repeat("x", 1600<<10)), registry.ErrorKind(""), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := s.api.Create(s.ctx, core.ConfigMap, c.in, registry.WriteOptions{})
			if c.kind == "" { // TooLarge, or Invalid where the kind has a limit of its own
				if !errors.Is(err, registry.TooLarge) && !errors.Is(err, registry.Invalid) {
					t.Errorf("error %v", err)
				}
				return
			}
			registrytest.WantError(t, err, c.kind, c.text)
		})
	}
}

// testTooLongListsAreNotValidated: a list that nothing runs is refused as such, before the object is defaulted and validated.
func testTooLongListsAreNotValidated(t *testing.T, s suite) {
	p := registrytest.Pod("p")
	p.Spec.Containers = make([]corev1.Container, 10_000)
	_, err := s.api.Create(s.ctx, core.Pod, p, registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Invalid, "spec.containers: Too many: 10000: must have at most 1000 items")
	if strings.Contains(err.Error(), "Required") {
		t.Errorf("the error %v says more", err)
	}
}

// testManyErrorsAreTruncated: the list of errors of an object ends and says how many more there are.
func testManyErrorsAreTruncated(t *testing.T, s suite) {
	p := registrytest.Pod("p")
	p.Spec.Containers[0].Env = make([]corev1.EnvVar, 5_000)
	_, err := s.api.Create(s.ctx, core.Pod, p, registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Invalid, "...: Too many: 4500: more errors, which are not listed")
}
