package authenticate

import (
	"errors"
	"fmt"
	"os"
	"slices"

	apiserverv1 "k8s.io/apiserver/pkg/apis/apiserver/v1"

	"gantry/schema"
)

// Anonymous says which requests without credentials are the anonymous user's. The zero value: all are.
type Anonymous struct {
	Off bool
	// Paths are the only paths, as URLs have them; none: all.
	Paths []string
}

// allows tells whether a request of a path may be anonymous.
func (a Anonymous) allows(path string) bool {
	return !a.Off && (len(a.Paths) == 0 || slices.Contains(a.Paths, path))
}

// ReadFile returns what a file with an AuthenticationConfiguration says of anonymous requests; nil: nothing.
func ReadFile(path string) (*Anonymous, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	a, err := read(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return a, nil
}

func read(text []byte) (*Anonymous, error) {
	var c apiserverv1.AuthenticationConfiguration
	if err := schema.DecodeYAML(text, &c); err != nil {
		return nil, err
	}
	const kind = "AuthenticationConfiguration"
	want := apiserverv1.SchemeGroupVersion.String()
	if versions := []string{want, "apiserver.config.k8s.io/v1beta1"}; c.Kind != kind || !slices.Contains(versions, c.APIVersion) {
		return nil, fmt.Errorf("no kind %q is registered for version %q: want %s of %s", c.Kind, c.APIVersion, kind, want)
	}
	if len(c.JWT) > 0 {
		return nil, errors.New("jwt: tokens of other issuers are not accepted")
	}
	if c.Anonymous == nil {
		return nil, nil
	}
	a := &Anonymous{Off: !c.Anonymous.Enabled}
	if a.Off && len(c.Anonymous.Conditions) > 0 {
		return nil, errors.New("anonymous.conditions: enabled should be set to true when conditions are defined")
	}
	for _, condition := range c.Anonymous.Conditions {
		a.Paths = append(a.Paths, condition.Path)
	}
	return a, nil
}
