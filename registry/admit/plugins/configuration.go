package plugins

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	apiserverv1 "k8s.io/apiserver/pkg/apis/apiserver/v1"
	"sigs.k8s.io/yaml"

	"gantry/schema"
)

// readFile returns the configurations of plug-ins in a file with an AdmissionConfiguration, by the plug-ins' names.
func readFile(path string) (map[string][]byte, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	out, err := read(text, func(file string) ([]byte, error) {
		if !filepath.IsAbs(file) {
			file = filepath.Join(filepath.Dir(path), file)
		}
		return os.ReadFile(file)
	})
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return out, nil
}

// read returns the configurations of an AdmissionConfiguration in YAML or JSON; open reads a plug-in's own file. What a plug-in embeds counts
// before its file.
func read(text []byte, open func(path string) ([]byte, error)) (map[string][]byte, error) {
	var c apiserverv1.AdmissionConfiguration
	if err := schema.DecodeYAML(text, &c); err != nil {
		return nil, err
	}
	const kind = "AdmissionConfiguration"
	if versions := []string{apiserverv1.SchemeGroupVersion.String(), "apiserver.k8s.io/v1alpha1"}; c.Kind != kind || !slices.Contains(versions, c.APIVersion) {
		return nil, noKind(c.APIVersion, c.Kind, versions[0], kind)
	}
	out := map[string][]byte{}
	for i := range c.Plugins {
		p := &c.Plugins[i]
		switch {
		case !slices.Contains(Names(), p.Name):
			return nil, fmt.Errorf("plugins[%d].name: %q is no plug-in", i, p.Name)
		case out[p.Name] != nil:
			return nil, fmt.Errorf("plugins[%d].name: %q is there twice", i, p.Name)
		case p.Configuration != nil:
			out[p.Name] = p.Configuration.Raw
		case p.Path != "":
			own, err := open(p.Path)
			if err != nil {
				return nil, fmt.Errorf("plugins[%d].path: %w", i, err)
			}
			out[p.Name] = own
		}
	}
	return out, nil
}

// decodeAs is decode of an object with the apiVersion and kind that are wanted.
func decodeAs(text []byte, apiVersion, kind string, to any) error {
	var head struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := yaml.Unmarshal(text, &head); err != nil {
		return err
	}
	if head.APIVersion != apiVersion || head.Kind != kind {
		return noKind(head.APIVersion, head.Kind, apiVersion, kind)
	}
	return schema.DecodeYAML(text, to)
}

func noKind(apiVersion, kind, wantVersion, wantKind string) error {
	return fmt.Errorf("no kind %q is registered for version %q: want %s of %s", kind, apiVersion, wantKind, wantVersion)
}
