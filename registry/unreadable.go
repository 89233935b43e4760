package registry

import (
	"context"
	"encoding/json"
	"errors"

	"gantry/registry/quarantine"
	"gantry/registry/store"
	"gantry/schema"
)

// newRecorder returns the recorder of this process' quarantine.
func (r *Registry) newRecorder() *quarantine.Recorder {
	check := func(k *schema.Kind, rest string, kv *store.KV) error {
		_, err := itemAt(k, rest, kv, false)
		return err
	}
	var onBad func(k *schema.Kind, rest string, err error)
	if r.cfg.OnBad != nil {
		onBad = func(k *schema.Kind, rest string, err error) {
			namespace, name, _ := splitKey(k, rest)
			r.cfg.OnBad(k, namespace, name, err)
		}
	}
	return quarantine.NewRecorder(r.store, r.cfg.Quarantine, check, onBad)
}

func (r *Registry) newQuarantine(k *schema.Kind) *quarantine.Set {
	return quarantine.NewSet(k, r.prefix(k), r.reads.recorder, r.cfg.Log, r.cfg.Node == "")
}

// unreadable is the error of a Get of a value under quarantine; nil: it is under none.
func (c *cache) unreadable(rest, name string) error {
	err := c.bad.Fault(rest)
	if err == nil {
		return nil
	}
	e := fault(c.kind, name, Unreadable, "the value stored at %s%s cannot be read: %v", c.prefix, rest, err)
	e.Cause = err
	return e
}

// maxBad bounds how many bad values in a row are read to find a uid.
const maxBad = 16

// lastUID is the uid of the object whose value at rev cannot be read: what that value says, or the last before it that says any.
// "": the store does not know it.
func (r *Registry) lastUID(ctx context.Context, key string, rev int64) (string, error) {
	for range maxBad {
		kv, _, err := r.store.Get(ctx, key, rev)
		switch {
		case errors.Is(err, Expired):
			return "", nil
		case err != nil || kv == nil:
			return "", err
		}
		var v struct {
			Metadata struct{ UID string }
		}
		if json.Unmarshal(kv.Value, &v) == nil && isUUID(v.Metadata.UID) {
			return v.Metadata.UID, nil
		}
		rev = kv.ModRevision - 1
	}
	return "", nil
}
