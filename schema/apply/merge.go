package apply

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	smd "sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
	"sigs.k8s.io/structured-merge-diff/v6/value"

	"gantry/schema"
	"gantry/schema/openapi"
)

// Merge is the JSON members of obj with those of config, merged as Apply merges, without managers: obj is an object of version v, or the body
// of a subresource. A configuration with a list, map or struct that is only replaced as a whole is an error, since another writer's part of it
// would be lost. Neither argument is changed.
func (t *Types) Merge(v *schema.Version, obj schema.Object, config map[string]any) (map[string]any, error) {
	if err := narrow(obj); err != nil {
		return nil, err
	}
	p, err := t.typeOfObject(v, obj)
	if err != nil {
		return nil, err
	}
	wanted, err := p.FromUnstructured(config)
	if err != nil {
		return nil, fmt.Errorf("failed to convert patch object to typed object: %w", err)
	}
	if atomic := atomicPaths("", wanted.Schema(), wanted.TypeRef(), wanted.AsValue()); len(atomic) > 0 {
		return nil, fmt.Errorf("invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: %s", strings.Join(atomic, ", "))
	}
	live, err := typedLive(p, obj)
	if err != nil {
		return nil, fmt.Errorf("failed to convert original object to typed object: %w", err)
	}
	merged, err := live.Merge(wanted)
	if err != nil {
		return nil, fmt.Errorf("failed to merge patch: %w", err)
	}
	out, ok := merged.AsValue().Unstructured().(map[string]any)
	if !ok {
		return nil, errors.New("failed to convert typed object to object: it is not a JSON object")
	}
	return out, nil
}

func typedLive(p *typed.ParseableType, obj runtime.Object) (*typed.TypedValue, error) {
	if u, ok := obj.(*unstructured.Unstructured); ok {
		return p.FromUnstructured(runtime.DeepCopyJSON(u.Object), typed.AllowDuplicates) // what is merged shares its maps
	}
	return p.FromStructured(obj, typed.AllowDuplicates)
}

// typeOfObject is the schema of an object of version v, or of a body of another type.
func (t *Types) typeOfObject(v *schema.Version, obj schema.Object) (*typed.ParseableType, error) {
	if v.Type() == reflect.TypeOf(obj) {
		return t.of(v)
	}
	return openapi.Typed(reflect.TypeOf(obj))
}

// atomicPaths are the paths of what a value has that is only replaced as a whole.
func atomicPaths(path string, s *smd.Schema, of smd.TypeRef, v value.Value) (found []string) {
	a, ok := s.Resolve(of)
	if !ok {
		return nil
	}
	switch {
	case v.IsMap() && a.Map != nil:
		if a.Map.ElementRelationship == smd.Atomic {
			found = append(found, path)
		}
		v.AsMap().Iterate(func(name string, member value.Value) bool {
			if f, ok := a.Map.FindField(name); ok {
				found = append(found, atomicPaths(path+"."+name, s, f.Type, member)...)
			}
			return true
		})
	case v.IsList() && a.List != nil:
		if a.List.ElementRelationship == smd.Atomic {
			found = append(found, path)
		}
		for i, list := 0, v.AsList(); i < list.Length(); i++ {
			found = append(found, atomicPaths(fmt.Sprintf("%s[%d]", path, i), s, a.List.ElementType, list.At(i))...)
		}
	}
	return found
}
