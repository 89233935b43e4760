package policies

import (
	"fmt"
	"math"
	"reflect"

	celtypes "github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"google.golang.org/protobuf/types/known/structpb"
	"k8s.io/apiserver/pkg/cel/mutation/dynamic"
)

// jsonOf is the result of an expression as decoded JSON: nil, bool, int64, float64, string, []any and map[string]any. A value of CEL's library
// that JSON has another form for, a timestamp, is what CEL makes of it.
func jsonOf(v any) (any, error) {
	switch v := v.(type) {
	case nil, bool, int64, float64, string:
		return v, nil
	case uint64:
		if v <= math.MaxInt64 {
			return int64(v), nil
		}
		return float64(v), nil
	case structpb.NullValue:
		return nil, nil
	case map[string]any:
		return mapOf(len(v), func(add func(key, value any) error) error {
			for key, value := range v {
				if err := add(key, value); err != nil {
					return err
				}
			}
			return nil
		})
	case map[ref.Val]ref.Val:
		return mapOf(len(v), func(add func(key, value any) error) error {
			for key, value := range v {
				if err := add(key.Value(), value); err != nil {
					return err
				}
			}
			return nil
		})
	case []any:
		return listOf(v)
	case []ref.Val:
		return listOf(v)
	case ref.Val:
		return jsonOfValue(v)
	}
	return jsonOfValue(celtypes.DefaultTypeAdapter.NativeToValue(v))
}

func jsonOfValue(v ref.Val) (any, error) {
	switch v := v.(type) {
	case *dynamic.ObjectVal:
		members, err := v.ConvertToNative(reflect.TypeFor[map[string]any]())
		if err != nil {
			return nil, err
		}
		return jsonOf(members)
	case *celtypes.Err:
		return nil, v
	case celtypes.Bool, celtypes.Int, celtypes.Uint, celtypes.Double, celtypes.String, celtypes.Null:
		return jsonOf(v.Value())
	case traits.Mapper:
		return mapOf(0, func(add func(key, value any) error) error {
			for it := v.Iterator(); it.HasNext() == celtypes.True; {
				key := it.Next()
				if err := add(key.Value(), v.Get(key)); err != nil {
					return err
				}
			}
			return nil
		})
	case traits.Lister:
		var elements []ref.Val
		for it := v.Iterator(); it.HasNext() == celtypes.True; {
			elements = append(elements, it.Next())
		}
		return listOf(elements)
	}
	converted, err := v.ConvertToNative(reflect.TypeFor[*structpb.Value]())
	if err != nil {
		return nil, err
	}
	value, ok := converted.(*structpb.Value)
	if !ok {
		return nil, fmt.Errorf("a value of type %s is not JSON", v.Type().TypeName())
	}
	return value.AsInterface(), nil
}

// mapOf collects the members of a map, whose keys must be strings.
func mapOf(size int, each func(add func(key, value any) error) error) (any, error) {
	out := make(map[string]any, size)
	err := each(func(key, value any) (err error) {
		name, ok := key.(string)
		if !ok {
			return fmt.Errorf("map key %v is of type %T, not string", key, key)
		}
		out[name], err = jsonOf(value)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func listOf[T any](list []T) (any, error) {
	out := make([]any, len(list))
	for i, element := range list {
		var err error
		if out[i], err = jsonOf(element); err != nil {
			return nil, err
		}
	}
	return out, nil
}
