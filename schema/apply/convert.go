package apply

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"gantry/schema"
)

// conversions are what managedfields asks of a kind during one write: its objects in another version, their defaults, an empty one.
type conversions struct {
	ctx  context.Context
	kind *schema.Kind
}

var (
	_ runtime.ObjectConvertor = conversions{}
	_ runtime.ObjectDefaulter = conversions{}
	_ runtime.ObjectCreater   = conversions{}
)

// ConvertToVersion is an object in another version of the kind, with its Go type; an object that has that form already is returned as it
// is. A version that the kind does not have is an error that is known as such.
func (c conversions) ConvertToVersion(in runtime.Object, to runtime.GroupVersioner) (runtime.Object, error) {
	gv, ok := to.(kschema.GroupVersion)
	if !ok {
		return nil, fmt.Errorf("%v is not one version", to)
	}
	from, err := versionOf(c.kind, in.GetObjectKind().GroupVersionKind())
	if err != nil {
		return nil, err
	}
	target, err := versionAt(c.kind, gv)
	if err != nil {
		return nil, err
	}
	obj, err := typedObject(from, in)
	if err != nil || from == target {
		return obj, err
	}
	out, err := schema.Convert(c.ctx, c.kind, from, target, []schema.Object{obj})
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// typedObject is an object of version v with v's Go type, where it has one.
func typedObject(v *schema.Version, in runtime.Object) (schema.Object, error) {
	obj, ok := in.(schema.Object)
	if !ok {
		return nil, fmt.Errorf("%T is no object", in)
	}
	u, ok := in.(*unstructured.Unstructured)
	if !ok || v.IsUnstructured() {
		return obj, nil
	}
	return decode(v, u)
}

// decode reads what was merged as any object of version v is read: of its Go type and within its bounds.
func decode(v *schema.Version, u *unstructured.Unstructured) (schema.Object, error) {
	data, err := schema.Encode(u)
	if err != nil {
		return nil, err
	}
	obj, _, err := schema.DecodeMerged(v, data)
	if err != nil {
		return nil, fmt.Errorf("unable to convert unstructured object to %s: %w", v.GVK(), err)
	}
	return obj, nil
}

// Default sets the defaults of an object in its version.
func (c conversions) Default(in runtime.Object) {
	v, err := versionOf(c.kind, in.GetObjectKind().GroupVersionKind())
	if err == nil && v.Default != nil {
		v.Default(in.(schema.Object))
	}
}

// New is an empty object.
func (c conversions) New(gvk kschema.GroupVersionKind) (runtime.Object, error) {
	v, err := versionOf(c.kind, gvk)
	if err != nil {
		return nil, err
	}
	return empty(v), nil
}

func empty(v *schema.Version) schema.Object {
	obj := v.New()
	v.SetTypeMeta(obj)
	return obj
}

// Convert and ConvertFieldLabel complete runtime.ObjectConvertor. Nothing calls them.
func (c conversions) Convert(_, _, _ any) error {
	return fmt.Errorf("conversion in place is not supported")
}

// ConvertFieldLabel returns its arguments.
func (c conversions) ConvertFieldLabel(_ kschema.GroupVersionKind, label, value string) (string, string, error) {
	return label, value, nil
}

// versionAt is the version of the kind in a group and version.
func versionAt(k *schema.Kind, gv kschema.GroupVersion) (*schema.Version, error) {
	if k.Stored().GV() == gv {
		return k.Stored(), nil
	}
	for _, v := range k.Versions {
		if v.GV() == gv {
			return v, nil
		}
	}
	return nil, runtime.NewNotRegisteredErrForKind("gantry", gv.WithKind(k.Kind))
}

func versionOf(k *schema.Kind, gvk kschema.GroupVersionKind) (*schema.Version, error) {
	v, err := versionAt(k, gvk.GroupVersion())
	if err != nil || v.Kind != gvk.Kind {
		return nil, runtime.NewNotRegisteredErrForKind("gantry", gvk)
	}
	return v, nil
}
