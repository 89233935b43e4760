package schema

import (
	"context"
	"fmt"
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kjson "sigs.k8s.io/json"
)

// FromStored makes objects of version v of objects as they are stored, which it does not change.
func FromStored(ctx context.Context, k *Kind, v *Version, objs []Object) ([]Object, error) {
	if k.Convert != nil {
		return convert(ctx, k.conversionTo(v), v, objs)
	}
	return convert(ctx, v.FromStored, v, objs)
}

// ToStored makes objects as they are stored of objects of version v, which it does not change.
func ToStored(ctx context.Context, k *Kind, v *Version, objs []Object) ([]Object, error) {
	if k.Convert != nil {
		return convert(ctx, k.conversionTo(k.Stored()), k.Stored(), objs)
	}
	return convert(ctx, v.ToStored, k.Stored(), objs)
}

// Convert makes objects of version to of objects of version from, which it does not change.
func Convert(ctx context.Context, k *Kind, from, to *Version, objs []Object) (out []Object, err error) {
	if k.Convert != nil {
		return convert(ctx, k.conversionTo(to), to, objs)
	}
	out = objs
	if from != k.Stored() {
		out, err = ToStored(ctx, k, from, out)
	}
	if err == nil && to != k.Stored() {
		out, err = FromStored(ctx, k, to, out)
	}
	return out, err
}

func (k *Kind) conversionTo(v *Version) Conversion {
	return func(ctx context.Context, objs []Object) ([]Object, error) { return k.Convert(ctx, objs, v) }
}

func convert(ctx context.Context, conversion Conversion, to *Version, objs []Object) (out []Object, err error) {
	if conversion == nil {
		conversion = sameFields(to)
	}
	if out, err = conversion(ctx, objs); err != nil {
		return nil, err
	}
	if len(out) != len(objs) {
		return nil, fmt.Errorf("%d objects became %d", len(objs), len(out))
	}
	for _, obj := range out {
		if obj == nil {
			return nil, fmt.Errorf("an object became none")
		}
		to.SetTypeMeta(obj)
	}
	return out, nil
}

// sameFields is the conversion to a version that has the same fields.
func sameFields(to *Version) Conversion {
	return func(_ context.Context, objs []Object) ([]Object, error) {
		out := make([]Object, len(objs))
		for i, obj := range objs {
			if u, ok := obj.(*unstructured.Unstructured); ok {
				out[i] = shallowCopy(u)
				continue
			}
			data, err := Encode(obj)
			if err != nil {
				return nil, err
			}
			out[i] = to.New()
			if err := kjson.UnmarshalCaseSensitivePreserveInts(data, out[i]); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
}

// shallowCopy is a copy whose members, and those of its metadata, can be replaced.
func shallowCopy(u *unstructured.Unstructured) *unstructured.Unstructured {
	c := &unstructured.Unstructured{Object: maps.Clone(u.Object)}
	if meta, ok := c.Object["metadata"].(map[string]any); ok {
		c.Object["metadata"] = maps.Clone(meta)
	}
	return c
}
