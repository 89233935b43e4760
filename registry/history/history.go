// Package history reads from etcd's history who changed a key, when, and what it was before.
//
// Every value that the registry writes ends in a member that no API object has, with who wrote it, when, and which
// revision of the key it replaced (0: none):
//
//	{"kind":"ConfigMap",...,"$by":{"user":"kubernetes-admin","time":"2026-01-02T15:04:05.678901234Z","after":41}}
//
// It costs some 85 bytes and no transaction; readers remove it (Strip). A value written by hand has none, or a copied one,
// which names another revision than the one that was replaced. A deletion leaves no value: its transaction writes the record to
// /gantry/deleted.
package history

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"gantry/registry/store"
)

// Version is one state of a key in etcd's history.
type Version struct {
	// Revision is that of the change which made it.
	Revision int64
	// Value is as stored, record and all; nil: the key was deleted.
	Value []byte
	// Previous is the state before it; nil: there was none, or it is compacted (First).
	Previous *Version
	// First tells that the history begins here: what was before is compacted.
	First bool
	// By is who made the change and when; nil: it was made past the registry.
	By *Record
}

// Oldest is the oldest revision that is not compacted.
func Oldest(ctx context.Context, s store.Store) (int64, error) {
	now, err := s.Revision(ctx)
	if err != nil {
		return 0, err
	}
	low, high := int64(1), now
	for low < high {
		mid := low + (high-low)/2
		_, _, err := s.Get(ctx, store.VersionKey, mid)
		switch {
		case err == nil:
			high = mid
		case errors.Is(err, store.Expired):
			low = mid + 1
		default:
			return 0, err
		}
	}
	return low, nil
}

// Versions are the newest `most` states of a key (0: all), oldest first, of what etcd still has; empty where it has none of
// the key.
func Versions(ctx context.Context, s store.Store, key string, most int) ([]*Version, error) {
	for {
		out, err := versions(ctx, s, key, most)
		if !errors.Is(err, store.Expired) {
			return out, err // else compaction ran meanwhile: once more
		}
	}
}

func versions(ctx context.Context, s store.Store, key string, most int) ([]*Version, error) {
	oldest, err := Oldest(ctx, s)
	if err != nil {
		return nil, err
	}
	first, now, err := s.Get(ctx, key, oldest)
	if err != nil {
		return nil, err
	}
	var all []*Version
	add := func(v *Version) {
		if len(all) > 0 {
			v.Previous = all[len(all)-1]
		}
		all = append(all, v)
		if most > 0 && len(all) > most+1 { // one more, to compare with
			all = all[1:]
			all[0].Previous = nil
		}
	}
	if first != nil {
		add(&Version{Revision: first.ModRevision, Value: first.Value, First: true})
	}
	err = changes(ctx, s, key, key+"\x00", oldest+1, now, func(e store.Event) bool {
		v := &Version{Revision: e.KV.ModRevision}
		if !e.Delete {
			v.Value = e.KV.Value
		}
		add(v)
		return true
	})
	if err != nil {
		return nil, err
	}
	for _, v := range all {
		if err := v.findWriter(ctx, s, key); err != nil {
			return nil, err
		}
	}
	if most > 0 && len(all) > most {
		all = all[1:]
	}
	return all, nil
}

// findWriter sets By of a version.
func (v *Version) findWriter(ctx context.Context, s store.Store, key string) error {
	before := int64(0)
	if v.Previous != nil && v.Previous.Value != nil {
		before = v.Previous.Revision
	}
	if v.Value != nil {
		by, ok := RecordIn(v.Value, before)
		if v.First && !ok { // what it replaced is compacted
			var loose struct {
				By *Record `json:"$by"`
			}
			if json.Unmarshal(v.Value, &loose) == nil && loose.By != nil && loose.By.After < v.Revision {
				by, ok = *loose.By, loose.By.User != ""
			}
		}
		if ok {
			v.By = &by
		}
		return nil
	}
	kv, _, err := s.Get(ctx, DeletedKey, v.Revision)
	if err != nil {
		return err
	}
	var d Deletion
	if kv != nil && kv.ModRevision == v.Revision && json.Unmarshal(kv.Value, &d) == nil && d.Key == key {
		v.By = &d.Record
	}
	return nil
}

// progressEvery is how often a reader of history requests progress, to find out whether it has read all of it.
const progressEvery = 20 * time.Millisecond

// changes calls see with every change of [start, end) from revision from up to at least revision to, until see returns false.
func changes(ctx context.Context, s store.Store, start, end string, from, to int64, see func(store.Event) bool) error {
	if from > to {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ask := time.NewTicker(progressEvery)
	defer ask.Stop()
	batches := s.Watch(ctx, start, end, from, true)
	for {
		select {
		case b, more := <-batches:
			if !more {
				return store.ContextError(ctx)
			}
			if b.Err != nil {
				return b.Err
			}
			for _, e := range b.Events {
				if e.KV.ModRevision > to || !see(e) {
					return nil
				}
			}
			if b.Revision >= to {
				return nil
			}
		case <-ask.C:
			if err := s.Progress(ctx, start); err != nil {
				return err
			}
		case <-ctx.Done():
			return store.ContextError(ctx)
		}
	}
}

// objectPrefix is the range of all objects.
const objectPrefix = "/registry/"

// surroundings is how many revisions around one are read for records of other keys.
const surroundings = 500

// Between bounds the time of a revision by the records of the writes next to it, to any key: a node's heartbeat alone
// is one in ten seconds. A zero time is a bound not known.
func Between(ctx context.Context, s store.Store, revision int64) (after, before time.Time, err error) {
	oldest, err := Oldest(ctx, s)
	if err != nil {
		return after, before, err
	}
	now, err := s.Revision(ctx)
	if err != nil {
		return after, before, err
	}
	from, to := max(oldest+1, revision-surroundings), min(now, revision+surroundings)
	err = changes(ctx, s, objectPrefix, store.RangeEnd(objectPrefix), from, to, func(e store.Event) bool {
		replaced := int64(0)
		if e.Prev != nil {
			replaced = e.Prev.ModRevision
		}
		if e.Delete || e.KV.ModRevision == revision {
			return true
		}
		by, ok := RecordIn(e.KV.Value, replaced)
		if ok && e.KV.ModRevision < revision {
			after = by.Time
		}
		if ok && e.KV.ModRevision > revision {
			before = by.Time
			return false
		}
		return true
	})
	return after, before, err
}
