package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// kind is a resource in one version, as discovery lists it.
type kind struct {
	group, version, plural, kind string
	namespaced                   bool
	verbs                        []string
	subresources                 []string
	preferred                    bool // the group's preferred version

	example     map[string]any // nil: testdata has none
	onUpstream  bool
	onGantry    bool
	exampleName string
}

// String is like pods or apps/deployments; versions other than the preferred one are named: autoscaling/v1/horizontalpodautoscalers.
func (k *kind) String() string {
	switch {
	case k.group == "":
		return k.plural
	case !k.preferred:
		return k.group + "/" + k.version + "/" + k.plural
	}
	return k.group + "/" + k.plural
}

func (k *kind) apiVersion() string {
	if k.group == "" {
		return k.version
	}
	return k.group + "/" + k.version
}

// namespace is where the kind's requests go.
func (k *kind) namespace() string {
	return "oracle-" + strings.NewReplacer("/", "-", ".", "-").Replace(k.String())
}

// all is the path of the collection.
func (k *kind) all() string {
	root := "/apis/" + k.group + "/" + k.version
	if k.group == "" {
		root = "/api/" + k.version
	}
	if k.namespaced {
		root += "/namespaces/" + k.namespace()
	}
	return root + "/" + k.plural
}

func (k *kind) matches(names string) bool {
	for _, n := range strings.Split(names, ",") {
		if n == "" || strings.EqualFold(n, k.plural) || strings.EqualFold(n, k.kind) || strings.EqualFold(n, k.String()) {
			return true
		}
	}
	return false
}

// readKinds lists what either side serves, in discovery's order.
func readKinds(ctx context.Context, upstream, gantry *server) ([]*kind, error) {
	theirs, err := discover(ctx, upstream)
	if err != nil {
		return nil, err
	}
	ours, err := discover(ctx, gantry)
	if err != nil {
		return nil, err
	}
	for _, k := range theirs {
		k.onUpstream = true
		k.onGantry = slices.ContainsFunc(ours, func(o *kind) bool { return o.all() == k.all() })
	}
	for _, k := range ours {
		if !slices.ContainsFunc(theirs, func(t *kind) bool { return t.all() == k.all() }) {
			k.onGantry = true
			theirs = append(theirs, k)
		}
	}
	for _, k := range theirs {
		if err := k.readExample("testdata/examples"); err != nil {
			return nil, err
		}
	}
	return theirs, nil
}

type resourceList struct{ Resources []resource }

type resource struct {
	Name, Kind string
	Namespaced bool
	Verbs      []string
}

func discover(ctx context.Context, s *server) ([]*kind, error) {
	var groups struct {
		Groups []struct {
			Name             string
			Versions         []struct{ Version string }
			PreferredVersion struct{ Version string }
		}
	}
	if err := getJSON(ctx, s, "/apis", &groups); err != nil {
		return nil, err
	}
	out, err := discoverVersion(ctx, s, "", "v1")
	if err != nil {
		return nil, err
	}
	for _, g := range groups.Groups {
		for _, v := range g.Versions {
			kinds, err := discoverVersion(ctx, s, g.Name, v.Version)
			if err != nil {
				return nil, err
			}
			for _, k := range kinds {
				k.preferred = v == g.PreferredVersion
			}
			out = append(out, kinds...)
		}
	}
	return out, nil
}

func discoverVersion(ctx context.Context, s *server, group, version string) ([]*kind, error) {
	path := "/apis/" + group + "/" + version
	if group == "" {
		path = "/api/" + version
	}
	var list resourceList
	if err := getJSON(ctx, s, path, &list); err != nil {
		return nil, err
	}
	byName := map[string]*kind{}
	var out []*kind
	for _, r := range list.Resources {
		if name, sub, ok := strings.Cut(r.Name, "/"); ok {
			if k := byName[name]; k != nil {
				k.subresources = append(k.subresources, sub)
			}
			continue
		}
		k := &kind{group: group, version: version, plural: r.Name, kind: r.Kind, namespaced: r.Namespaced, verbs: r.Verbs}
		byName[r.Name] = k
		out = append(out, k)
	}
	return out, nil
}

func getJSON(ctx context.Context, s *server, path string, into any) error {
	res, err := s.do(ctx, request{method: "GET", path: path})
	if err != nil {
		return err
	}
	if res.code != 200 {
		return fmt.Errorf("%s: GET %s: %d %s", s.name, path, res.code, res.body)
	}
	return json.Unmarshal(res.body, into)
}

// readExample reads testdata/examples/<group>_<kind>.yaml (core_pod.yaml; a version that is not the preferred one is part of
// the group: autoscaling.v1_horizontalpodautoscaler.yaml). NAMESPACE stands for the kind's namespace. What can be listed gets the
// label oracle: example.
func (k *kind) readExample(dir string) error {
	group := cmp.Or(k.group, "core")
	if k.group != "" && !k.preferred {
		group += "." + k.version
	}
	text, err := os.ReadFile(filepath.Join(dir, group+"_"+strings.ToLower(k.kind)+".yaml"))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	text = bytes.ReplaceAll(text, []byte("NAMESPACE"), []byte(k.namespace()))
	var doc map[string]any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return fmt.Errorf("reading the example of %s: %w", k, err)
	}
	doc["apiVersion"], doc["kind"] = k.apiVersion(), k.kind
	if lookUpString(doc, "metadata", "name") == "" && slices.Contains(k.verbs, "get") {
		doc = apply(doc, edit{path: []string{"metadata", "name"}, value: "example"}).(map[string]any)
	}
	k.exampleName = cmp.Or(lookUpString(doc, "metadata", "name"), "example")
	k.example = doc
	if slices.Contains(k.verbs, "list") {
		k.example = apply(doc, edit{path: []string{"metadata", "labels", "oracle"}, value: "example"}).(map[string]any)
	}
	return nil
}
