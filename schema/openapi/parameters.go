package openapi

import (
	"cmp"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// parameter is one of a path or of its query.
type parameter struct {
	name, kind, text string // kind: "string", "integer", "boolean"
	in               string // "path", "query"
}

var (
	namespaceParameter = parameter{name: "namespace", kind: "string", in: "path", text: "object name and auth scope, such as for teams and projects"}
	prettyParameter    = parameter{name: "pretty", kind: "string", in: "query",
		text: "If 'true', then the output is pretty printed. Defaults to 'false' unless the user-agent indicates a browser or command-line HTTP tool (curl and wget)."}
	pathParameter = parameter{name: "path", kind: "string", in: "path", text: "path to the resource"}
)

// nameParameter is the name of an object, of a kind that a path is about.
func nameParameter(kind string) parameter {
	return parameter{name: "name", kind: "string", in: "path", text: "name of the " + kind}
}

func getParameters() []parameter    { return queryParameters(reflect.TypeFor[metav1.GetOptions]()) }
func listParameters() []parameter   { return queryParameters(reflect.TypeFor[metav1.ListOptions]()) }
func createParameters() []parameter { return queryParameters(reflect.TypeFor[metav1.CreateOptions]()) }
func updateParameters() []parameter { return queryParameters(reflect.TypeFor[metav1.UpdateOptions]()) }
func patchParameters() []parameter  { return queryParameters(reflect.TypeFor[metav1.PatchOptions]()) }
func deleteParameters() []parameter { return queryParameters(reflect.TypeFor[metav1.DeleteOptions]()) }

// collectionParameters are those of a deletion of many.
func collectionParameters() []parameter {
	return append(deleteParameters(), slices.DeleteFunc(listParameters(), func(p parameter) bool {
		return p.name == "watch" || p.name == "allowWatchBookmarks"
	})...)
}

// queryParameters are the fields of an options type that a URL can carry.
func queryParameters(t reflect.Type) []parameter {
	doc := swaggerDoc(t)
	var all []parameter
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		ft := deref(f.Type)
		if ft.Kind() == reflect.Slice {
			ft = ft.Elem()
		}
		p := parameter{name: name, in: "query", text: doc[name]}
		switch ft.Kind() {
		case reflect.String:
			p.kind = "string"
		case reflect.Bool:
			p.kind = "boolean"
		case reflect.Int32, reflect.Int64:
			p.kind = "integer"
		}
		if name != "" && p.kind != "" {
			all = append(all, p)
		}
	}
	return all
}

// sorted orders parameters as documents list them.
func sorted(all []parameter) []parameter {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b parameter) int { return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.in, b.in)) })
	return all
}

// common splits the parameters of a path's operations in those that all of them have, which the path has, and the others of each.
func common(operations []operation) (path []parameter, others [][]parameter) {
	count := map[parameter]int{}
	for _, o := range operations {
		for _, p := range o.parameters {
			count[p]++
		}
	}
	for i, o := range operations {
		var own []parameter
		for _, p := range sorted(o.parameters) {
			switch {
			case count[p] < len(operations):
				own = append(own, p)
			case i == 0:
				path = append(path, p)
			}
		}
		others = append(others, own)
	}
	return path, others
}
