// Package snapshot reads what is in etcd at one revision, for commands that explain it. Objects are read-only.
package snapshot

import (
	"context"
	"slices"
	"strings"

	"gantry/registry"
	"gantry/registry/history"
	"gantry/registry/safely"
	"gantry/registry/store"
	"gantry/schema"
)

// Entry is an object with where it came from.
type Entry struct {
	Kind     *schema.Kind
	Key      string
	Revision int64 // the last change of Key
	Object   schema.Object
}

// Snapshot is the state at one revision.
type Snapshot struct {
	Revision int64
	Kinds    *schema.Set

	values  []*store.KV // below /registry/ and /gantry/, by key
	entries map[*schema.Kind][]*Entry
	bad     []Unreadable
}

// Unreadable is a value that is no object.
type Unreadable struct {
	Kind     *schema.Kind
	Key      string
	Revision int64
	Err      error
}

// page is how many keys are read at a time.
const page = 1000

// roots are the ranges that are read.
var roots = []string{"/gantry/", "/registry/"}

// Read reads everything at the current revision.
func Read(ctx context.Context, s store.Store, kinds *schema.Set) (*Snapshot, error) {
	rev, err := s.Revision(ctx)
	if err != nil {
		return nil, err
	}
	var all []*store.KV
	for _, root := range roots {
		for start, end := root, store.RangeEnd(root); ; {
			kvs, count, _, err := s.List(ctx, start, end, page, rev)
			if err != nil {
				return nil, err
			}
			all = append(all, kvs...)
			if int64(len(kvs)) == count || len(kvs) == 0 {
				break
			}
			start = kvs[len(kvs)-1].Key + "\x00"
		}
	}
	return New(kinds, rev, all), nil
}

// New returns the snapshot of values.
func New(kinds *schema.Set, revision int64, values []*store.KV) *Snapshot {
	slices.SortFunc(values, func(a, b *store.KV) int { return strings.Compare(a.Key, b.Key) })
	return &Snapshot{Revision: revision, Kinds: kinds, values: values, entries: map[*schema.Kind][]*Entry{}}
}

// Below are the values whose key begins with prefix.
func (s *Snapshot) Below(prefix string) []*store.KV {
	compare := func(kv *store.KV, key string) int { return strings.Compare(kv.Key, key) }
	from, _ := slices.BinarySearchFunc(s.values, prefix, compare)
	to := from
	for to < len(s.values) && strings.HasPrefix(s.values[to].Key, prefix) {
		to++
	}
	return s.values[from:to]
}

// All are the objects of a kind in a namespace ("": all of them), by key. Those that cannot be read are left out: see Unreadable.
func (s *Snapshot) All(k *schema.Kind, namespace string) []*Entry {
	all, known := s.entries[k]
	if !known {
		for _, kv := range s.Below("/registry/" + k.Prefix + "/") {
			e, err := s.read(k, kv)
			switch {
			case err != nil:
				s.bad = append(s.bad, Unreadable{k, kv.Key, kv.ModRevision, err})
			case e != nil:
				all = append(all, e)
			}
		}
		s.entries[k] = all
	}
	if namespace == "" {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(e *Entry) bool { return e.Object.GetNamespace() != namespace })
}

// read returns nil for the key of another kind below k's prefix.
func (s *Snapshot) read(k *schema.Kind, kv *store.KV) (e *Entry, err error) {
	if of, _, _, ok := s.Kinds.Key(strings.TrimPrefix(kv.Key, "/registry/")); ok && of != k {
		return nil, nil
	}
	err = safely.Call(func() error {
		it, err := registry.Read(s.Kinds, kv.Key, &history.Version{Revision: kv.ModRevision, Value: kv.Value})
		if err == nil {
			e = &Entry{k, kv.Key, kv.ModRevision, it.Object()}
		}
		return err
	})
	return e, err
}

// Get returns an object; nil: it does not exist or cannot be read.
func (s *Snapshot) Get(k *schema.Kind, namespace, name string) *Entry {
	key := registry.Key(k, namespace, name)
	all := s.All(k, "")
	i, found := slices.BinarySearchFunc(all, key, func(e *Entry, key string) int { return strings.Compare(e.Key, key) })
	if !found {
		return nil
	}
	return all[i]
}

// Unreadable returns what is wrong with the value at a key of a kind; nil: nothing.
func (s *Snapshot) Unreadable(k *schema.Kind, key string) *Unreadable {
	s.All(k, "")
	for i := range s.bad {
		if s.bad[i].Key == key {
			return &s.bad[i]
		}
	}
	return nil
}

// Copy returns a store in memory with the values. Its revisions are other ones.
func (s *Snapshot) Copy(ctx context.Context) (*store.Fake, error) {
	m := store.NewFake()
	for _, kv := range s.values {
		if _, err := m.Commit(ctx, store.Txn{Puts: []store.Put{{Key: kv.Key, Value: kv.Value}}}); err != nil {
			return nil, err
		}
	}
	return m, nil
}
