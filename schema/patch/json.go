package patch

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	jsonpatch "github.com/evanphx/json-patch/v5"

	"gantry/schema"
)

// applyJSON is json-patch's Apply in less time: there every operation takes time in proportion to the lists and objects that it changes,
// and a patch the square of a document's size. Here an operation takes time in proportion to its own text. Results and errors are the same.
func applyJSON(_ *schema.Version, current, patch []byte) ([]byte, error) {
	operations, err := operationsOf(patch)
	if err != nil {
		return nil, failure(ErrMalformed, err)
	}
	if len(operations) > maxOperations {
		//lint:ignore ST1005 the client sees this sentence as Kubernetes writes it
		return nil, failure(ErrTooLarge, fmt.Errorf(
			"The allowed maximum operations in a JSON patch is %d, got %d", maxOperations, len(operations)))
	}
	d := document{root: &node{text: current}, original: &node{text: current}}
	for _, o := range operations {
		err := d.apply(o)
		var copies *jsonpatch.AccumulatedCopySizeError
		switch {
		case errors.As(err, &copies):
			return nil, failure(ErrTooLarge, err)
		case err != nil:
			return nil, failure(ErrConflict, err)
		}
	}
	if !d.root.parse(0) {
		return nil, failure(ErrConflict, jsonpatch.ErrExpectedObject)
	}
	return d.root.append(make([]byte, 0, len(current)+len(patch))), nil
}

// operationsOf reads the operations. An unknown one fails when it is its turn, and one without a value has null.
func operationsOf(patch []byte) (operations jsonpatch.Patch, err error) {
	err = json.Unmarshal(patch, &operations)
	if e := (*json.UnmarshalTypeError)(nil); errors.As(err, &e) && e.Field == "" {
		name := "handlers.jsonPatchOp"
		if e.Type == reflect.TypeFor[jsonpatch.Patch]() {
			name = "[]" + name
		}
		err = fmt.Errorf("json: cannot unmarshal %s into Go value of type %s", e.Value, name)
	}
	return operations, err
}

// document is what operations are applied to.
type document struct {
	root *node
	// original is what an empty name below the root means to json-patch: the root's value before it was changed.
	original *node
	// copied is how much copies have added, in bytes.
	copied int64
}

// apply changes the document by one operation, whose members have been checked.
func (d *document) apply(o jsonpatch.Operation) error {
	path, err := o.Path()
	if err != nil {
		return err
	}
	switch o.Kind() {
	case "add":
		return d.add(path, value(o))
	case "remove":
		return d.remove(path)
	case "replace":
		return d.replace(path, value(o))
	case "test":
		return d.test(path, value(o))
	case "move", "copy":
	default:
		return fmt.Errorf("unexpected kind: %s", o.Kind())
	}
	from, err := o.From()
	switch {
	case err != nil:
		return err
	case o.Kind() == "move":
		return d.move(from, path)
	}
	return d.copy(from, path)
}

// value is the value of an operation; null where it has none.
func value(o jsonpatch.Operation) *node {
	raw := o["value"]
	if raw == nil {
		return &node{text: []byte("null")}
	}
	return &node{text: *raw}
}

func (d *document) add(path string, value *node) error {
	if path == "" {
		if !value.parse(0) && !value.isNull() {
			return jsonpatch.ErrExpectedObject
		}
		d.root, d.original = value, &node{text: value.append(nil)}
		return nil
	}
	on, key, ok := d.find(path)
	if !ok {
		return fmt.Errorf("add operation does not apply: doc is missing path: \"%s\": %w", path, jsonpatch.ErrMissing)
	}
	if err := on.add(key, value); err != nil {
		return fmt.Errorf("error in add for path: '%s': %w", path, err)
	}
	return nil
}

func (d *document) remove(path string) error {
	on, key, ok := d.find(path)
	if !ok {
		return fmt.Errorf("remove operation does not apply: doc is missing path: \"%s\": %w", path, jsonpatch.ErrMissing)
	}
	if err := on.remove(key); err != nil {
		return fmt.Errorf("error in remove for path: '%s': %w", path, err)
	}
	return nil
}

func (d *document) replace(path string, value *node) error {
	if path == "" {
		if !value.parse(0) {
			return errors.New("replace operation value must be object or array: %!w(<nil>)") // as json-patch says it
		}
		d.root, d.original = value, nil
		return nil
	}
	on, key, ok := d.find(path)
	if !ok {
		return fmt.Errorf("replace operation does not apply: doc is missing path: %s: %w", path, jsonpatch.ErrMissing)
	}
	if _, err := on.get(key); err != nil {
		return fmt.Errorf("replace operation does not apply: doc is missing key: %s: %w", path, jsonpatch.ErrMissing)
	}
	if err := on.set(key, value); err != nil {
		return fmt.Errorf("error in remove for path: '%s': %w", path, err)
	}
	return nil
}

func (d *document) move(from, path string) error {
	if from == "" {
		return fmt.Errorf("unable to move entire document to another path: %w", jsonpatch.ErrInvalid)
	}
	on, key, ok := d.find(from)
	if !ok {
		return fmt.Errorf("move operation does not apply: doc is missing from path: %s: %w", from, jsonpatch.ErrMissing)
	}
	value, err := on.get(key)
	if err == nil {
		err = on.remove(key)
	}
	if err != nil {
		return fmt.Errorf("error in move for path: '%s': %w", key, err)
	}
	if on, key, ok = d.find(path); !ok {
		return fmt.Errorf("move operation does not apply: doc is missing destination path: %s: %w", path, jsonpatch.ErrMissing)
	}
	if err := on.add(key, value); err != nil {
		return fmt.Errorf("error in move for path: '%s': %w", path, err)
	}
	return nil
}

func (d *document) test(path string, want *node) error {
	failed := fmt.Errorf("testing value %s failed: %w", path, jsonpatch.ErrTestFailed)
	if path == "" {
		if d.root.equal(want) {
			return nil
		}
		return failed
	}
	on, key, ok := d.find(path)
	if !ok {
		return fmt.Errorf("test operation does not apply: is missing path: %s: %w", path, jsonpatch.ErrMissing)
	}
	value, err := on.get(key)
	switch {
	case err != nil && errors.Unwrap(err) != jsonpatch.ErrMissing:
		return fmt.Errorf("error in test for path: '%s': %w", path, err)
	case value == nil && want.isNull():
		return nil
	case value == nil || want.isNull() || !value.equal(want):
		return failed
	}
	return nil
}

func (d *document) copy(from, path string) error {
	on, key, ok := d.find(from)
	if !ok {
		return fmt.Errorf("copy operation does not apply: doc is missing from path: \"%s\": %w", from, jsonpatch.ErrMissing)
	}
	value, err := on.get(key)
	if err != nil {
		return fmt.Errorf("error in copy for from: '%s': %w", from, err)
	}
	if on, key, ok = d.find(path); !ok {
		return fmt.Errorf("copy operation does not apply: doc is missing destination path: %s: %w", path, jsonpatch.ErrMissing)
	}
	if value != nil {
		value = &node{text: value.append(nil)}
		d.copied += int64(len(value.text))
	}
	if d.copied > maxBytes { // a chain of copies doubles a value each time: CVE-2019-1002100
		return jsonpatch.NewAccumulatedCopySizeError(maxBytes, d.copied)
	}
	if err := on.add(key, value); err != nil {
		return fmt.Errorf("error while adding value during copy: %w", err)
	}
	return nil
}
