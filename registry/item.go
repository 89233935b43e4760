package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"unicode/utf8"
	"weak"

	"gantry/registry/history"
	"gantry/registry/mutation"
	"gantry/registry/safely"
	"gantry/registry/store"
	"gantry/schema"
)

// item is what an Item keeps for the registry alone.
type item struct {
	relKey   string // the key below the kind's prefix, "default/web": the order of lists
	uid      string
	texts    []string                                    // the labels in pairs, the values of its version's Fields, the owners' uids
	nLabels  uint32                                      // of texts
	nOwners  uint32                                      // of texts
	deleting bool                                        // it has a deletionTimestamp
	obj      atomic.Pointer[weak.Pointer[schema.Object]] // nil: not decoded yet
	serial   uint64                                      // no other item has it
	block    atomic.Pointer[keptBlock]                   // that begins here; nil: none was asked for, or it begins elsewhere
	forms    atomic.Pointer[versionForm]                 // the bytes of other versions, see As
	version  *schema.Version                             // of JSON; nil: the one that the kind is stored in
}

// serials number the items that are made: a block names its items by them, without keeping them alive.
var serials atomic.Uint64

// labels are the object's labels.
func (i *Item) labels() pairs { return pairs(i.texts[:i.nLabels]) }

// fields are the values of the Fields of the item's version.
func (i *Item) fields() []string { return i.texts[i.nLabels : len(i.texts)-int(i.nOwners)] }

// owners are the uids of the object's owners.
func (i *Item) owners() []string { return i.texts[len(i.texts)-int(i.nOwners):] }

// Version is the version that the item's bytes are of: the one that the kind is stored in, unless the object was written before that changed and
// its conversion asks a webhook.
func (i *Item) Version() *schema.Version {
	if i.version != nil {
		return i.version
	}
	return i.Kind.Stored()
}

// Object is the item decoded, in its Version: shared, read-only. It is kept until the next garbage collection and then decoded anew on use:
// decoded objects take several times the memory of their JSON. A value that cannot be decoded is under quarantine and no item: a panic here is
// a bug of this package.
func (i *Item) Object() schema.Object {
	obj, err := i.object()
	if err != nil {
		panic(err)
	}
	return obj
}

// object is Object; the error is why the item cannot be decoded.
func (i *Item) object() (schema.Object, error) {
	if obj := i.cachedObject(); obj != nil {
		return obj, nil
	}
	obj, err := i.decode()
	if err == nil {
		i.remember(obj)
	}
	return obj, err
}

// cachedObject returns the decoded form; nil where it is not in memory any more.
func (i *Item) cachedObject() schema.Object {
	if p := i.obj.Load(); p != nil {
		if obj := p.Value(); obj != nil {
			return *obj
		}
	}
	return nil
}

func (i *Item) decode() (obj schema.Object, err error) {
	err = safely.Call(func() error {
		obj, err = schema.Unmarshal(i.Version(), i.JSON)
		return err
	})
	if err != nil {
		return nil, &Error{Kind: Unreadable, Group: i.Kind.Group, Resource: i.Kind.Plural, KindName: i.Kind.Kind, Name: i.Name, Cause: err}
	}
	return obj, nil
}

// copyObject is the object decoded for a caller who may change it.
func (i *Item) copyObject() (schema.Object, error) {
	if obj := i.cachedObject(); obj != nil {
		return deepCopy(obj), nil
	}
	return i.decode()
}

// remember keeps the decoded form until the next garbage collection.
func (i *Item) remember(obj schema.Object) {
	p := weak.Make(&obj)
	i.obj.Store(&p)
	mutation.Watch(i.Kind, i.relKey, obj)
}

// OwnedBy tells that the object names uid among its owners.
func (i *Item) OwnedBy(uid string) bool { return slices.Contains(i.owners(), uid) }

// Deleting tells that the object is being deleted.
func (i *Item) Deleting() bool { return i.deleting }

// Field is the value of a field that selectors of this kind may name, "spec.nodeName" of a pod, say; "" where it has none.
func (i *Item) Field(path string) string {
	value, _ := fieldOf(i.Version(), i.fields(), path)
	return value
}

// fieldOf is the value of a field among those of the Fields of a version.
func fieldOf(v *schema.Version, values []string, path string) (value string, ok bool) {
	for n := range v.Fields {
		if v.Fields[n].Path == path {
			return values[n], true
		}
	}
	return "", false
}

// UID is the object's metadata.uid.
func (i *Item) UID() string { return i.uid }

// NewItem makes an item of an object as a gateway returns it, with its metadata.resourceVersion (absent: 0).
func NewItem(k *schema.Kind, data []byte) (*Item, error) {
	obj, _, err := schema.Decode(k.Stored(), data)
	if err != nil {
		return nil, fmt.Errorf("decoding a %s: %w", k.Kind, err)
	}
	var revision int64
	if rv := obj.GetResourceVersion(); rv != "" {
		if revision, err = strconv.ParseInt(rv, 10, 64); err != nil {
			return nil, fmt.Errorf("reading the resourceVersion of %s %s: %w", k.Kind, obj.GetName(), err)
		}
	}
	return itemOf(k, obj, data, revision, true), nil
}

// itemOf makes an item of an object whose final bytes are data; keep holds on to the decoded form.
func itemOf(k *schema.Kind, obj schema.Object, data []byte, revision int64, keep bool) *Item {
	it := &Item{Kind: k, Revision: revision, JSON: data}
	it.serial = serials.Add(1)
	if k.AsWritten {
		it.version = k.VersionOf(obj)
	}
	it.deleting = obj.GetDeletionTimestamp() != nil
	fields := it.Version().Fields
	labels, owners := obj.GetLabels(), obj.GetOwnerReferences()
	texts := make([]string, 0, 2+2*len(labels)+len(fields)+len(owners))
	relKey := obj.GetName()
	if k.Namespaced {
		relKey = obj.GetNamespace() + "/" + relKey
	}
	texts = append(texts, relKey, string(obj.GetUID()))
	texts = appendPairs(texts, labels)
	for _, f := range fields {
		texts = append(texts, f.Value(obj))
	}
	for _, o := range owners {
		texts = append(texts, string(o.UID))
	}
	pack(texts)
	it.relKey, it.uid, texts = texts[0], texts[1], texts[2:]
	it.texts, it.nLabels, it.nOwners = texts, uint32(2*len(labels)), uint32(len(owners))
	it.Name = it.relKey
	if k.Namespaced {
		at := len(it.relKey) - len(obj.GetName())
		it.Namespace, it.Name = it.relKey[:at-1], it.relKey[at:]
	}
	if keep {
		if revision != 0 {
			obj.SetResourceVersion(strconv.FormatInt(revision, 10))
		}
		it.remember(obj)
	}
	return it
}

// pack copies texts into one allocation: those of a decoded object share the memory of the JSON it was read from and would keep all of it.
func pack(texts []string) {
	n := 0
	for _, t := range texts {
		n += len(t)
	}
	var b strings.Builder
	b.Grow(n)
	for _, t := range texts {
		b.WriteString(t)
	}
	all := b.String()
	for i, t := range texts {
		texts[i], all = all[:len(t)], all[len(t):]
	}
}

// itemFrom makes an item of what etcd holds. The value is hostile: it must be one JSON object of kind k that says
// the name and namespace of its key and has a uid. What a value written by hand may leave out or write in another way is
// normalized: defaults, order, white space, a resourceVersion in the body.
func (r *Registry) itemFrom(k *schema.Kind, kv *store.KV) (*Item, error) {
	return itemAt(k, strings.TrimPrefix(kv.Key, kindPrefix(k, "")), kv, true)
}

func itemAt(k *schema.Kind, relKey string, kv *store.KV, keep bool) (it *Item, err error) {
	err = safely.Call(func() error {
		it, err = itemOfStored(k, relKey, kv, keep)
		return err
	})
	return it, err
}

func itemOfStored(k *schema.Kind, relKey string, kv *store.KV, keep bool) (*Item, error) {
	obj, value, err := decodeStored(k, relKey, history.Strip(kv.Value))
	if err != nil {
		return nil, err
	}
	data, ok := schema.SetResourceVersion(value, kv.ModRevision)
	if !ok {
		return nil, fmt.Errorf("the value has no metadata")
	}
	return itemOf(k, obj, data, kv.ModRevision, keep), nil
}

// decodeStored returns the object that a value holds, with its defaults, and the form in which it is served, but for the
// resourceVersion. Most values are in that form already, as the registry writes it: then they have no unknown
// or duplicate fields, and need no strict decoding, which is slow.
func decodeStored(k *schema.Kind, relKey string, value []byte) (schema.Object, []byte, error) {
	if k.AsWritten {
		k = k.RulesOf(versionIn(k, value))
	}
	obj, err := schema.Unmarshal(k.Stored(), value)
	if err == nil && obj.GetResourceVersion() == "" && checkStored(k, relKey, obj) == nil {
		if obj, form, err := servedForm(k, obj); err == nil && bytes.Equal(form, value) {
			return obj, value, nil
		}
	}
	obj, err = decodeHandwritten(k, value)
	if err != nil {
		return nil, nil, err
	}
	if err := checkStored(k, relKey, obj); err != nil {
		return nil, nil, err
	}
	return servedForm(k, obj)
}

func servedForm(k *schema.Kind, obj schema.Object) (schema.Object, []byte, error) {
	if gvk := obj.GetObjectKind().GroupVersionKind(); gvk != k.GVK() {
		return nil, nil, fmt.Errorf("%s in the body is not a %s", gvk, k.Kind)
	}
	if k.Default != nil {
		k.Default(obj)
	}
	obj.SetResourceVersion("")
	return schema.EncodeStored(k.Stored(), obj)
}

// decodeHandwritten decodes a value that may not have been written by the registry.
func decodeHandwritten(k *schema.Kind, value []byte) (schema.Object, error) {
	if !utf8.Valid(value) {
		return nil, fmt.Errorf("the value is not UTF-8 text")
	}
	if bytes.HasPrefix(value, []byte("k8s\x00")) {
		return nil, fmt.Errorf("the value is protobuf, not JSON")
	}
	if len(value) == 0 {
		return nil, fmt.Errorf("the value is empty")
	}
	v := versionIn(k, value)
	obj, warnings, err := schema.Decode(v, value)
	var wrong *schema.WrongTypeError
	switch {
	case errors.As(err, &wrong):
		return nil, fmt.Errorf("%s %s in the value is not a %s %s", wrong.Got.GroupVersion(), wrong.Got.Kind, v.APIVersion(), v.Kind)
	case err != nil:
		return nil, err
	}
	for _, w := range warnings {
		if strings.HasPrefix(w, "duplicate field") {
			return nil, fmt.Errorf("%s", w)
		}
	}
	return toStored(context.Background(), k, v, obj)
}

// versionIn is the version that a value is of: one written before the kind's stored version changed is of another.
func versionIn(k *schema.Kind, value []byte) *schema.Version {
	var head struct{ Kind, APIVersion string }
	if len(k.Versions) == 0 || json.Unmarshal(value, &head) != nil {
		return k.Stored()
	}
	for _, v := range k.Versions {
		if v.Kind == head.Kind && v.APIVersion() == head.APIVersion {
			return v
		}
	}
	return k.Stored()
}

// checkStored returns structural errors that would make agents act on an incomplete object.
func checkStored(k *schema.Kind, relKey string, obj schema.Object) error {
	namespace, name, err := splitKey(k, relKey)
	switch {
	case err != nil:
		return err
	case obj.GetName() != name:
		return fmt.Errorf("metadata.name is %q, the key says %q", obj.GetName(), name)
	case obj.GetNamespace() != namespace:
		return fmt.Errorf("metadata.namespace is %q, the key says %q", obj.GetNamespace(), namespace)
	case obj.GetUID() == "":
		return fmt.Errorf("metadata.uid is missing")
	case !schema.IsUUID(string(obj.GetUID())):
		return fmt.Errorf("metadata.uid is no UUID: %.64q", obj.GetUID())
	}
	if s := k.Scale(); s != nil {
		if spec := s.SpecOf(obj); spec < 0 {
			return fmt.Errorf("%s is negative: %d", strings.TrimPrefix(s.SpecReplicas, "."), spec)
		}
	}
	if s := obj.GetDeletionGracePeriodSeconds(); s != nil && *s < 0 {
		return fmt.Errorf("metadata.deletionGracePeriodSeconds is negative: %d", *s)
	}
	return nil
}

// atRevision is the item as of another revision: what a deletion carries.
func (i *Item) atRevision(revision int64) *Item {
	data, ok := schema.SetResourceVersion(i.JSON, revision)
	if !ok {
		data = i.JSON // cannot happen: the cache's bytes are Encode's
	}
	return i.copyWith(revision, data)
}

// copyWith is the item with other bytes and without its decoded form.
func (i *Item) copyWith(revision int64, data []byte) *Item {
	it := &Item{Kind: i.Kind, Namespace: i.Namespace, Name: i.Name, Revision: revision, JSON: data}
	it.relKey, it.uid, it.texts, it.nLabels, it.nOwners = i.relKey, i.uid, i.texts, i.nLabels, i.nOwners
	it.deleting, it.version = i.deleting, i.version
	it.serial = serials.Add(1)
	return it
}

// pairs is a small map in sorted order: key, value, key, value. It is labels.Labels.
type pairs []string

// appendPairs appends the pairs of a map to texts, which has room for them.
func appendPairs(texts []string, m map[string]string) []string {
	start := len(texts)
	for k := range m {
		texts = append(texts, k)
	}
	keys := texts[start:]
	slices.Sort(keys)
	texts = texts[:start+2*len(keys)]
	for i := len(keys) - 1; i >= 0; i-- {
		k := keys[i]
		texts[start+2*i], texts[start+2*i+1] = k, m[k]
	}
	return texts
}

// Lookup returns a key's value and whether it is there.
func (p pairs) Lookup(key string) (string, bool) {
	for i := 0; i < len(p); i += 2 {
		if p[i] == key {
			return p[i+1], true
		}
	}
	return "", false
}

// Has tells whether a key is there.
func (p pairs) Has(key string) bool { _, ok := p.Lookup(key); return ok }

// Get returns a key's value, "" where it is absent.
func (p pairs) Get(key string) string { v, _ := p.Lookup(key); return v }

var _ json.Marshaler = (*Item)(nil)

// MarshalJSON hands out the final bytes.
func (i *Item) MarshalJSON() ([]byte, error) { return i.JSON, nil }
