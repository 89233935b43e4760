package quarantine

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"gantry/registry/store"
)

// Prefix is the range of all records.
const Prefix = "/gantry/quarantine/"

// recordKey is where the record of the value of key is.
func recordKey(key string) string { return Prefix + strings.TrimPrefix(key, "/") }

// Record is the record of a value that cannot be read.
type Record struct {
	Key      string `json:"key"`
	Revision int64  `json:"revision"`
	Error    string `json:"error"`
	// LastGood is the last revision whose value could be read; 0: none is known.
	LastGood int64     `json:"lastGoodRevision,omitempty"`
	Time     time.Time `json:"time"`
}

// List returns what is under quarantine, in the order of keys.
func List(ctx context.Context, s store.Store) ([]Record, error) {
	kvs, _, _, err := s.List(ctx, Prefix, store.RangeEnd(Prefix), 0, 0)
	if err != nil {
		return nil, err
	}
	var out []Record
	for _, kv := range kvs {
		out = append(out, readRecord(kv))
	}
	return out, nil
}

// readRecord reads a record; like every value in etcd it may be anything.
func readRecord(kv *store.KV) Record {
	var r Record
	key := "/" + strings.TrimPrefix(kv.Key, Prefix)
	if json.Unmarshal(kv.Value, &r) != nil {
		return Record{Key: key, Error: "the record itself cannot be read"}
	}
	r.Key = key
	return r
}
