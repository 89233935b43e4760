package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gantry/registry/store"
	"gantry/schema"
)

// A value that cannot be read is under quarantine: nobody is served it, and nothing is served in its place. Those
// who watched its last good state see that DELETED; a Get of it is Unreadable, not NotFound, so that nobody takes what
// belongs to it for orphaned. It is over when the value is put right or deleted.

// quarantine is what a cache knows of values that it cannot read.
type quarantine struct {
	kind   *schema.Kind
	prefix string
	log    *slog.Logger
	record *recorder
	gauge  prometheus.Gauge

	mu  sync.Mutex // guards bad
	bad map[string]badValue
}

type badValue struct {
	rev      int64
	err      error
	good     int64 // the last revision that could be read; 0: none is known
	at       time.Time
	recorded bool // there is a record of this revision
}

// maxFault bounds what is kept of a fault's text, in bytes: it may quote the value.
const maxFault = 1024

func shortFault(err error) error {
	if text := err.Error(); len(text) > maxFault {
		return errors.New(strings.ToValidUTF8(text[:maxFault], "") + "...")
	}
	return err
}

func newQuarantine(r *Registry, k *schema.Kind) *quarantine {
	q := &quarantine{kind: k, prefix: r.prefix(k), log: r.cfg.Log, record: r.reads.recorder, bad: map[string]badValue{}}
	if r.cfg.Node == "" {
		q.gauge = quarantined.WithLabelValues(k.GR().String())
	}
	return q
}

// put notes that the value at rest cannot be read; good is the revision of the last one that could; 0: none is known.
func (q *quarantine) put(rest string, kv *store.KV, good int64, err error) {
	q.mu.Lock()
	if q.bad[rest].rev == kv.ModRevision {
		q.mu.Unlock()
		return
	}
	bad := badValue{rev: kv.ModRevision, err: shortFault(err), good: good, at: time.Now()}
	q.bad[rest] = bad
	q.count()
	q.mu.Unlock()
	q.log.Warn("value quarantined", "kind", q.kind.Kind, "key", kv.Key, "rv", kv.ModRevision, "err", bad.err)
	if q.record.add(q, rest); !q.record.write {
		q.record.tell(q, rest, bad)
	}
}

// look returns what is wrong with the value at rest; false: nothing is.
func (q *quarantine) look(rest string) (badValue, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	bad, is := q.bad[rest]
	return bad, is
}

// noteRecord notes that the fault of a revision is written down.
func (q *quarantine) noteRecord(rest string, rev int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if bad, is := q.bad[rest]; is && bad.rev == rev {
		bad.recorded = true
		q.bad[rest] = bad
	}
}

// unrecorded are the keys of which there is no record yet.
func (q *quarantine) unrecorded() (rests []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for rest, bad := range q.bad {
		if !bad.recorded {
			rests = append(rests, rest)
		}
	}
	return rests
}

// clear forgets that the value at rest was bad.
func (q *quarantine) clear(rest string) {
	q.mu.Lock()
	_, was := q.bad[rest]
	delete(q.bad, rest)
	q.count()
	q.mu.Unlock()
	if was {
		q.log.Info("value left quarantine", "kind", q.kind.Kind, "key", q.prefix+rest)
		q.record.add(q, rest)
	}
}

// sweep keeps only what found, the bad keys of a fresh list, holds, in memory and in etcd.
func (q *quarantine) sweep(found map[string]bool) {
	q.mu.Lock()
	for rest := range q.bad {
		if !found[rest] {
			delete(q.bad, rest)
		}
	}
	q.count()
	q.mu.Unlock()
	q.record.add(q, "")
}

func (q *quarantine) count() {
	if q.gauge != nil {
		q.gauge.Set(float64(len(q.bad)))
	}
}

// fault is what is wrong with the value at rest; nil: nothing.
func (q *quarantine) fault(rest string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bad[rest].err
}

// unreadable is the error of a Get of a value under quarantine.
func (q *quarantine) unreadable(rest, name string) error {
	err := q.fault(rest)
	if err == nil {
		return nil
	}
	return &Error{
		Kind: Unreadable, Group: q.kind.Group, Resource: q.kind.Plural, KindName: q.kind.Kind, Name: name, Cause: err,
		Reason: fmt.Sprintf("the value stored at %s%s cannot be read: %v", q.prefix, rest, err),
	}
}

// lastUID is the uid of the object whose value at rev cannot be read: what that value says, or the last before it that says any.
// "": the store does not know it.
func (r *Registry) lastUID(ctx context.Context, key string, rev int64) (string, error) {
	for range maxLook {
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
