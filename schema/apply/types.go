package apply

import (
	"fmt"
	"sync"
	"weak"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"gantry/schema"
	"gantry/schema/openapi"
)

// Types holds the schemas by which objects are merged and compared, by version. One is made when it is first needed, in milliseconds,
// and is kept until the next garbage collection. The zero value is ready; it is safe for concurrent use.
type Types struct {
	mu   sync.Mutex // guards made
	made map[*schema.Version]weak.Pointer[typed.ParseableType]
}

// of is the schema of a version.
func (t *Types) of(v *schema.Version) (*typed.ParseableType, error) {
	if v.IsUnstructured() && v.Structure == nil {
		return &typed.DeducedParseableType, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.made[v].Value(); p != nil {
		return p, nil
	}
	p, err := typeOf(v)
	if err != nil {
		return nil, fmt.Errorf("reading the structure of %s %s: %w", v.APIVersion(), v.Kind, err)
	}
	for other, held := range t.made {
		if held.Value() == nil {
			delete(t.made, other) // the version may be one that is not served any more
		}
	}
	if t.made == nil {
		t.made = map[*schema.Version]weak.Pointer[typed.ParseableType]{}
	}
	t.made[v] = weak.Make(p)
	return p, nil
}

func typeOf(v *schema.Version) (*typed.ParseableType, error) {
	if v.IsUnstructured() {
		return openapi.TypedStructure(v.Structure.JSON())
	}
	return openapi.Typed(v.Type())
}

// converter is the managedfields.TypeConverter of the versions of a kind, for one write: all its values have the same schemas.
type converter struct {
	types *Types
	kind  *schema.Kind
	held  map[*schema.Version]*typed.ParseableType
	// objects are what TypedToObject has returned: an object is compared with the entries of each of its managers. They are not changed.
	objects map[*typed.TypedValue]*unstructured.Unstructured
}

func newConverter(t *Types, k *schema.Kind) converter {
	return converter{t, k, map[*schema.Version]*typed.ParseableType{}, map[*typed.TypedValue]*unstructured.Unstructured{}}
}

var _ managedfields.TypeConverter = converter{}

func (c converter) of(v *schema.Version) (*typed.ParseableType, error) {
	if p := c.held[v]; p != nil {
		return p, nil
	}
	p, err := c.types.of(v)
	if err == nil {
		c.held[v] = p
	}
	return p, err
}

// ObjectToTyped is an object with its schema. An object of a version that the kind does not have is an error that is known as such.
func (c converter) ObjectToTyped(obj runtime.Object, opts ...typed.ValidationOptions) (*typed.TypedValue, error) {
	v, err := versionOf(c.kind, obj.GetObjectKind().GroupVersionKind())
	if err != nil {
		return nil, err
	}
	p, err := c.of(v)
	if err != nil {
		return nil, err
	}
	if u, ok := obj.(*unstructured.Unstructured); ok {
		return p.FromUnstructured(u.Object, opts...)
	}
	return p.FromStructured(obj, opts...)
}

// TypedToObject is the reverse, without a Go type.
func (c converter) TypedToObject(value *typed.TypedValue) (runtime.Object, error) {
	if u := c.objects[value]; u != nil {
		return u, nil
	}
	object, ok := value.AsValue().Unstructured().(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the value is not a JSON object")
	}
	u := &unstructured.Unstructured{Object: object}
	c.objects[value] = u
	return u, nil
}
