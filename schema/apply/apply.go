package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/managedfields"
	kjson "sigs.k8s.io/json"

	"gantry/schema"
)

// Write says what is written and by whom.
type Write struct {
	Kind *schema.Kind
	// Version is the version of the kind that the client speaks; nil: the stored one. Its fields are recorded in it.
	Version     *schema.Version
	Subresource string
	// Manager is the name under which fields are recorded; "" is "unknown".
	Manager string
}

func (w Write) version() *schema.Version {
	if w.Version == nil {
		return w.Kind.Stored()
	}
	return w.Version
}

// Apply returns live, an object of the stored version (nil: there is none yet), with config applied: the JSON of an object of w's version
// with the fields that its client has an opinion about. The result is of the stored version, has its managedFields, and may share
// memory with live, which is not changed. It is neither prepared nor validated.
//
// Errors are *apierrors.StatusError: a conflict names the fields that others manage with other values, unless force takes them over.
func (t *Types) Apply(ctx context.Context, w Write, live schema.Object, config []byte, force bool) (schema.Object, error) {
	wanted, err := readConfig(config)
	if err != nil {
		return nil, err
	}
	if live == nil {
		live = empty(w.version())
	} else {
		live = withEntries(live, readable(w.Kind, live.GetManagedFields()))
		if w.Kind.Stored().IsUnstructured() {
			live = live.DeepCopyObject().(schema.Object) // what is merged shares its maps
		}
	}
	if err := narrow(live); err != nil {
		return nil, apierrors.NewRequestEntityTooLargeError(err.Error())
	}
	m, err := t.manager(ctx, w)
	if err != nil {
		return nil, statusOf(err)
	}
	out, err := m.Apply(live, wanted, w.Manager, force)
	if err != nil {
		return nil, statusOf(err)
	}
	obj, err := stored(ctx, w.Kind, out.(schema.Object))
	if err != nil {
		return nil, statusOf(err)
	}
	obj.SetManagedFields(inSeconds(obj.GetManagedFields()))
	return obj, nil
}

// stored is what was merged, as an object of the stored version that could have been read from JSON.
func stored(ctx context.Context, k *schema.Kind, obj schema.Object) (schema.Object, error) {
	out, err := conversions{ctx, k}.ConvertToVersion(obj, k.GV())
	if err != nil {
		return nil, err
	}
	u, ok := out.(*unstructured.Unstructured)
	if !ok {
		return out.(schema.Object), nil
	}
	return decode(k.Stored(), u)
}

// manager does the work for one write.
func (t *Types) manager(ctx context.Context, w Write) (*managedfields.FieldManager, error) {
	of := conversions{ctx, w.Kind}
	return managedfields.NewDefaultCRDFieldManager(newConverter(t, w.Kind), of, of, of,
		w.version().GVK(), w.Kind.GV(), w.Subresource, filters(w.Kind, w.Subresource))
}

// readConfig reads what is to be applied. Its size and depth are bounded.
func readConfig(config []byte) (*unstructured.Unstructured, error) {
	if err := schema.CheckSize(config); err != nil {
		return nil, apierrors.NewRequestEntityTooLargeError(err.Error())
	}
	if err := schema.CheckDepth(config); err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("error decoding YAML: %v", err))
	}
	if err := schema.CheckWidth(config); err != nil {
		return nil, apierrors.NewRequestEntityTooLargeError(err.Error())
	}
	u := &unstructured.Unstructured{Object: map[string]any{}}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(config, &u.Object); err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("error decoding YAML: error unmarshaling JSON: while decoding JSON: %v", err))
	}
	return u, nil
}

// withEntries is obj with entries; a copy where they are not the ones that it has.
func withEntries(obj schema.Object, entries []metav1.ManagedFieldsEntry) schema.Object {
	if len(obj.GetManagedFields()) == len(entries) {
		return obj
	}
	obj = obj.DeepCopyObject().(schema.Object)
	obj.SetManagedFields(slices.Clone(entries))
	return obj
}

// maxText and maxCauses bound what a client is told about what it applied.
const (
	maxText   = 16 << 10 // bytes
	maxCauses = 500
)

// statusOf is an error as Kubernetes answers it. What is wrong with a configuration is mostly no error of a kind of its own, and answered as
// 500 with no reason.
func statusOf(err error) error {
	var s *apierrors.StatusError
	if !errors.As(err, &s) {
		s = &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: 500, Message: err.Error()}}
	}
	if d := s.ErrStatus.Details; d != nil && len(d.Causes) > maxCauses {
		d.Causes = slices.Clip(d.Causes[:maxCauses])
	}
	if len(s.ErrStatus.Message) > maxText {
		s.ErrStatus.Message = s.ErrStatus.Message[:maxText] + "..."
	}
	return s
}
