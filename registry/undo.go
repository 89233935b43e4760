package registry

import (
	"context"
	"encoding/json"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/registry/admit"
	"gantry/registry/store"
	"gantry/schema"
)

// PutBack makes an earlier state of an object (Read) the current one, by the way of every write: it is admitted,
// validated, compared and swapped, with its companions.
//
//   - Where a readable object stands, it is updated: what may not change does not (Invalid names it), and what it observes,
//     its status, stays.
//   - Where a value stands that nobody can read, the whole state comes back, uid and status too: to everyone it is the same
//     object as before.
//   - Where nothing stands, it is created anew, with another uid and no status; a pod is scheduled again.
func (r *Registry) PutBack(ctx context.Context, it *Item, o WriteOptions) (*Item, error) {
	t, err := targetOf(it.Kind, it.Namespace, it.Name)
	if err != nil {
		return nil, err
	}
	st, err := r.read(ctx, t)
	if err != nil {
		return nil, about(t.kind, t.name, err)
	}
	obj, err := it.own()
	if err != nil {
		return nil, err
	}
	switch {
	case st.rev == 0:
		return r.createAgain(ctx, t, obj, o)
	case st.item == nil:
		return r.putBackWhole(ctx, t, st, obj, o)
	}
	obj.SetUID(types.UID(st.item.uid))
	obj.SetResourceVersion(st.item.Object().GetResourceVersion())
	obj.SetDeletionTimestamp(nil)
	obj.SetDeletionGracePeriodSeconds(nil)
	return r.Update(ctx, t.kind, obj, o)
}

func (r *Registry) createAgain(ctx context.Context, t target, obj schema.Object, o WriteOptions) (*Item, error) {
	obj.SetUID("")
	obj.SetResourceVersion("")
	if pod, ok := obj.(*corev1.Pod); ok {
		pod.Spec.NodeName = ""
	}
	return r.Create(ctx, t.kind, obj, o)
}

func (r *Registry) putBackWhole(ctx context.Context, t target, st state, obj schema.Object, o WriteOptions) (*Item, error) {
	call(t.kind.Default, obj)
	err := r.admit(ctx, &admit.Request{
		Op: admit.Update, Kind: t.kind, Namespace: t.namespace, Name: t.name, Obj: obj, Old: own(obj),
	})
	if err != nil {
		return nil, err
	}
	faults := append(schema.ValidateMeta(t.kind, obj), ipFamilies(obj)...)
	if t.kind.Validate != nil {
		faults = append(faults, t.kind.Validate(obj)...)
	}
	if err := invalid(t.kind, t.name, faults); err != nil {
		return nil, err
	}
	it, lost, err := r.run(ctx, &swap{target: t, old: st, obj: obj, dryRun: o.DryRun})
	if err == nil && lost != nil {
		return nil, t.fault(Conflict, modified)
	}
	return it, err
}

// Quarantined is a value that cannot be read, as it is recorded at /gantry/quarantine/<key>.
type Quarantined = badRecord

// ListQuarantined returns what is under quarantine, in the order of keys.
func ListQuarantined(ctx context.Context, s store.Store) ([]Quarantined, error) {
	kvs, _, _, err := s.List(ctx, quarantinePrefix, store.RangeEnd(quarantinePrefix), 0, 0)
	if err != nil {
		return nil, err
	}
	var out []Quarantined
	for _, kv := range kvs {
		out = append(out, readBad(kv))
	}
	return out, nil
}

// QuarantineOf returns the record of one key; false: it is not under quarantine.
func QuarantineOf(ctx context.Context, s store.Store, key string) (Quarantined, bool, error) {
	kv, _, err := s.Get(ctx, quarantineKey(key), 0)
	if err != nil || kv == nil {
		return Quarantined{}, false, err
	}
	return readBad(kv), true, nil
}

// readBad reads a record; like every value in etcd it may be anything.
func readBad(kv *store.KV) Quarantined {
	var b Quarantined
	key := "/" + strings.TrimPrefix(kv.Key, quarantinePrefix)
	if json.Unmarshal(kv.Value, &b) != nil {
		return Quarantined{Key: key, Error: "the record itself cannot be read"}
	}
	b.Key = key
	return b
}
