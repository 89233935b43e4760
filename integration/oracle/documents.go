package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

var (
	discoveryKind = &kind{plural: "discovery", kind: "Discovery"}
	openAPIKind   = &kind{plural: "openapi", kind: "OpenAPI"}
)

const aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

// runDiscovery compares what is no kind's: discovery, health, versions, unknown paths. Resources are compared one by one.
func (s *session) runDiscovery(ctx context.Context, kinds []*kind) ([]result, error) {
	p := &pair{session: s, kind: discoveryKind}
	cases, err := readCases("testdata/requests/discovery.txt")
	if err != nil {
		return nil, err
	}
	var out []result
	for _, c := range cases {
		r, err := p.send(ctx, c)
		if err != nil {
			return nil, err
		}
		out = append(out, r...)
	}
	seen := map[string]bool{}
	for _, k := range kinds {
		if !k.onUpstream || !k.onGantry {
			continue
		}
		path := "/apis/" + k.apiVersion()
		if k.group == "" {
			path = "/api/v1"
		}
		if seen[path] {
			continue
		}
		seen[path] = true
		r, err := s.compareParts(ctx, discoveryKind, request{method: "GET", path: path}, func(doc any) map[string]any { return named(doc, "resources", "name") })
		if err != nil {
			return nil, err
		}
		out = append(out, r...)
	}
	for _, path := range []string{"/api", "/apis"} {
		r := request{method: "GET", path: path, header: http.Header{"Accept": {aggregated}}}
		parts, err := s.compareParts(ctx, discoveryKind, r, aggregatedParts)
		if err != nil {
			return nil, err
		}
		out = append(out, parts...)
	}
	return out, nil
}

// runOpenAPI compares the OpenAPI v3 documents of what both serve, schema by schema and path by path.
func (s *session) runOpenAPI(ctx context.Context, kinds []*kind) ([]result, error) {
	paths := []string{"api", "apis", "version"}
	for _, k := range kinds {
		path := "apis/" + k.apiVersion()
		if k.group == "" {
			path = "api/v1"
		}
		if k.onUpstream && k.onGantry && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	var out []result
	for _, path := range paths {
		r, err := s.compareParts(ctx, openAPIKind, request{method: "GET", path: "/openapi/v3/" + path}, openAPIParts)
		if err != nil {
			return nil, err
		}
		out = append(out, r...)
	}
	r, err := s.compareParts(ctx, openAPIKind, request{method: "GET", path: "/openapi/v2"}, func(doc any) map[string]any {
		parts, _ := lookUp(doc, "definitions").(map[string]any)
		return parts
	})
	return append(out, r...), err
}

// compareParts compares the parts of one document that both have; a part that only upstream has is one difference.
func (s *session) compareParts(ctx context.Context, k *kind, r request, parts func(any) map[string]any) ([]result, error) {
	var sides [2]map[string]any
	var codes [2]int
	for i, side := range []*server{s.upstream, s.gantry} {
		res, err := side.do(ctx, r)
		if err != nil {
			return nil, err
		}
		codes[i] = res.code
		sides[i] = parts((&normaliser{}).value(decode(res), nil))
	}
	if codes[0] != codes[1] {
		d := difference{path: "code", upstream: fmt.Sprint(codes[0]), gantry: fmt.Sprint(codes[1])}
		return []result{{kind: k, id: r.path, request: "GET " + r.path, differences: []difference{d}}}, nil
	}
	names := maps.Clone(sides[0])
	if names == nil {
		names = map[string]any{}
	}
	maps.Copy(names, sides[1])
	var out []result
	for _, name := range slices.Sorted(maps.Keys(names)) {
		a, inA := sides[0][name]
		b, inB := sides[1][name]
		one := result{kind: k, id: r.path + " " + name, request: "GET " + r.path}
		if inA != inB {
			one.differences = []difference{{path: "part", field: name, upstream: there(inA), gantry: there(inB)}}
		} else {
			one.differences = compareTrees("", a, b, nil)
		}
		out = append(out, one)
	}
	return out, nil
}

func there(is bool) string {
	if is {
		return "there"
	}
	return absent
}

// named is the list at key as a map by a field, and all else of the document under "".
func named(doc any, key, field string) map[string]any {
	out := map[string]any{}
	list, _ := lookUp(doc, key).([]any)
	for _, one := range list {
		out[lookUpString(one, field)] = one
	}
	out[""] = apply(doc, edit{path: []string{key}, remove: true})
	return out
}

func aggregatedParts(doc any) map[string]any {
	out := map[string]any{}
	groups, _ := lookUp(doc, "items").([]any)
	for _, g := range groups {
		versions, _ := lookUp(g, "versions").([]any)
		for _, v := range versions {
			prefix := lookUpString(g, "metadata", "name") + "/" + lookUpString(v, "version")
			for name, part := range named(v, "resources", "resource") {
				out[strings.TrimSuffix(prefix+"/"+name, "/")] = part
			}
		}
	}
	return out
}

func openAPIParts(doc any) map[string]any {
	out := map[string]any{}
	for _, at := range [][]string{{"paths"}, {"components", "schemas"}} {
		parts, _ := lookUp(doc, at...).(map[string]any)
		for name, part := range parts {
			out[last(at)+" "+name] = part
		}
	}
	return out
}
