package admit

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/validate/content"

	"gantry/schema"
)

// maxValue is the longest value of a rule's key, in bytes: it is in the transaction beside the object.
const maxValue = 16384

// keyPrefix is where the keys of all rules are.
const keyPrefix = "/gantry/admission/"

// KeyPrefix is what all keys of a rule start with.
func KeyPrefix(rule string) string { return keyPrefix + rule + "/" }

// Key is one of a rule's keys. The zero value is none.
type Key struct{ rule, path string }

// NewKey is the key /gantry/admission/<rule>/<segment>/... An empty segment, or one that could lead elsewhere ("..", "a/b"), is an
// error.
func NewKey(rule string, segments ...string) (Key, error) {
	if len(segments) == 0 {
		return Key{}, fmt.Errorf("making a key of %s: it has no segments", rule)
	}
	path := keyPrefix + rule
	for _, s := range segments {
		if s == "" || len(content.IsPathSegmentName(s)) > 0 {
			return Key{}, fmt.Errorf("making a key of %s: %q is no segment", rule, s)
		}
		path += "/" + s
	}
	return Key{rule, path}, nil
}

// String is the key as etcd has it.
func (k Key) String() string { return k.path }

// Companion is a key that the write's transaction compares, and may change, besides the object's.
type Companion struct {
	Key      string
	Revision int64         // that the key must have; 0: it must not exist
	Kind     *schema.Kind  // of an object; nil: it is a key of the rule's own
	Object   schema.Object // replaces the object; nil: that is compared only
	Value    []byte        // is put to a key of the rule's own; nil: nothing is
	Remove   bool          // the key is deleted
	by       ruleCall
}

// Changes tells that the companion is written and not only compared.
func (c *Companion) Changes() bool { return c.Value != nil || c.Object != nil || c.Remove }

// Companions are what the rules have added so far; read-only.
func (q *Request) Companions() []Companion { return q.companions }

// Hold makes the write's transaction compare an object that the rule has looked up: it must be unchanged, or still not exist.
func (q *Request) Hold(f Found) {
	if f.Kind != nil {
		q.add(Companion{Key: f.Key, Revision: f.Revision, Kind: f.Kind})
	}
}

// PutObject is Hold, and replaces the object in the transaction of the write, of which it must have another kind: two objects of a kind never
// change in one transaction. It is stored as it is.
func (q *Request) PutObject(f Found, obj schema.Object) error {
	if f.Kind == nil || f.Revision == 0 || f.Kind == q.Kind {
		return fmt.Errorf("changing %s: it does not exist, or is of the kind that is written", f.Key)
	}
	q.add(Companion{Key: f.Key, Revision: f.Revision, Kind: f.Kind, Object: obj})
	return nil
}

// Expect makes the write's transaction compare a key: it must be unchanged.
func (q *Request) Expect(kv KV) error { return q.addKey(kv, nil, false) }

// Put is Expect, and gives the key a value in the object's transaction.
func (q *Request) Put(kv KV, value []byte) error {
	if value == nil {
		value = []byte{}
	}
	return q.addKey(kv, value, false)
}

// Remove is Expect, and deletes the key in the object's transaction.
func (q *Request) Remove(kv KV) error { return q.addKey(kv, nil, true) }

// addKey returns an error for a key of another rule, and for a value that is too long.
func (q *Request) addKey(kv KV, value []byte, remove bool) error {
	switch {
	case q.running.rule == nil || kv.Key.rule != q.running.rule.Name:
		return fmt.Errorf("adding the key %q: it is not the rule's own", kv.Key.path)
	case len(value) > maxValue:
		return fmt.Errorf("adding the key %q: %d bytes are more than %d", kv.Key.path, len(value), maxValue)
	}
	q.add(Companion{Key: kv.Key.path, Revision: kv.Revision, Value: value, Remove: remove})
	return nil
}

// add keeps the last companion of a key, because a transaction can put a key only once.
func (q *Request) add(c Companion) {
	c.by = q.running
	for i := range q.companions {
		if q.companions[i].Key == c.Key && (q.companions[i].Kind == nil || q.companions[i].by == c.by) {
			q.companions[i] = c
			return
		}
	}
	if q.companions == nil {
		q.companions = q.first[:0]
	}
	q.companions = append(q.companions, c)
}

// dropCompanions removes what a call has added.
func (q *Request) dropCompanions(by ruleCall) {
	q.companions = slices.DeleteFunc(q.companions, func(c Companion) bool { return c.by == by })
}

// Reinvoke calls the rules again that have added a companion of which changed is true.
func (q *Request) Reinvoke(ctx context.Context, read Reader, changed func(c *Companion) bool) error {
	var calls []ruleCall
	for i := range q.companions {
		c := &q.companions[i]
		if changed(c) && !slices.Contains(calls, c.by) {
			calls = append(calls, c.by)
		}
	}
	for _, c := range calls {
		q.dropCompanions(c)
		if err := c.run(ctx, read, q); err != nil {
			return err
		}
	}
	return nil
}
