package history

import (
	"context"
	"encoding/json"
	"errors"

	"gantry/registry/store"
	"gantry/schema"
)

// maxBad bounds how many bad values in a row are read to find a uid.
const maxBad = 16

// LastUID returns the uid of the object at key whose value at rev cannot be read: what that value says, or the last before it that says any.
// "": etcd has none.
func LastUID(ctx context.Context, etcd store.Store, key string, rev int64) (string, error) {
	for range maxBad {
		kv, _, err := etcd.Get(ctx, key, rev)
		switch {
		case errors.Is(err, store.Expired):
			return "", nil
		case err != nil || kv == nil:
			return "", err
		}
		var v struct {
			Metadata struct{ UID string }
		}
		if json.Unmarshal(kv.Value, &v) == nil && schema.IsUUID(v.Metadata.UID) {
			return v.Metadata.UID, nil
		}
		rev = kv.ModRevision - 1
	}
	return "", nil
}
