package wire

import (
	"reflect"
	"slices"
)

// Unplanned returns what in the JSON of the type that v points to is left to others.
func Unplanned(v any) (paths []string) {
	var walk func(p *plan, path string, in []*plan)
	walk = func(p *plan, path string, in []*plan) {
		if slices.Contains(in, p) {
			return
		}
		in = append(in, p)
		if p.kind == other {
			paths = append(paths, path)
		}
		if p.elem != nil {
			walk(p.elem, path, in)
		}
		for _, f := range p.fields {
			walk(f.plan, path+"."+f.key, in)
		}
	}
	walk(compile(reflect.TypeOf(v)), "", nil)
	return paths
}
