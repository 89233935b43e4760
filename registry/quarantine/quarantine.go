// Package quarantine is about values in etcd that cannot be read. Such a value is not served, and nothing is served in its place. Watchers
// of its last good state see that DELETED; a Get of it is Unreadable, not NotFound, so that its dependents do not count as orphaned. The
// quarantine ends when the value is corrected or deleted.
//
// A Set has the values of one kind's cache. The Recorder of a process that may write there records them at /gantry/quarantine/<key>, for
// admins (List).
package quarantine

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"gantry/registry/store"
	"gantry/schema"
)

// Set is the values of one kind that cannot be read. A value is named by its key after the kind's prefix, "default/web".
type Set struct {
	kind     *schema.Kind
	prefix   string
	log      *slog.Logger
	recorder *Recorder
	gauge    prometheus.Gauge

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

// maxErrorText bounds what is kept of an error's text, in bytes: it may quote the value.
const maxErrorText = 1024

func shortError(err error) error {
	if text := err.Error(); len(text) > maxErrorText {
		return errors.New(strings.ToValidUTF8(text[:maxErrorText], "") + "...")
	}
	return err
}

// NewSet returns an empty set of values of kind k, whose keys begin with prefix. metrics: it is counted among the process' metrics.
func NewSet(k *schema.Kind, prefix string, r *Recorder, log *slog.Logger, metrics bool) *Set {
	q := &Set{kind: k, prefix: prefix, log: log, recorder: r, bad: map[string]badValue{}}
	if metrics {
		q.gauge = quarantinedValues.WithLabelValues(k.GR().String())
	}
	return q
}

// Put notes that the value at relKey cannot be read; good is the revision of the last one that could; 0: none is known.
func (q *Set) Put(relKey string, kv *store.KV, good int64, err error) {
	q.mu.Lock()
	if q.bad[relKey].rev == kv.ModRevision {
		q.mu.Unlock()
		return
	}
	bad := badValue{rev: kv.ModRevision, err: shortError(err), good: good, at: time.Now()}
	q.bad[relKey] = bad
	q.count()
	q.mu.Unlock()
	q.log.Warn("value quarantined", "kind", q.kind.Kind, "key", kv.Key, "rv", kv.ModRevision, "err", bad.err)
	if q.recorder.add(q, relKey); !q.recorder.write {
		q.recorder.report(q, relKey, bad)
	}
}

// get returns what is wrong with the value at relKey; false: nothing is.
func (q *Set) get(relKey string) (badValue, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	bad, is := q.bad[relKey]
	return bad, is
}

// noteRecord stores that the value of a revision is recorded.
func (q *Set) noteRecord(relKey string, rev int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if bad, is := q.bad[relKey]; is && bad.rev == rev {
		bad.recorded = true
		q.bad[relKey] = bad
	}
}

// unrecorded are the keys of which there is no record yet.
func (q *Set) unrecorded() (relKeys []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for relKey, bad := range q.bad {
		if !bad.recorded {
			relKeys = append(relKeys, relKey)
		}
	}
	return relKeys
}

// Clear removes the value at relKey.
func (q *Set) Clear(relKey string) {
	q.mu.Lock()
	_, was := q.bad[relKey]
	delete(q.bad, relKey)
	q.count()
	q.mu.Unlock()
	if was {
		q.log.Info("value left quarantine", "kind", q.kind.Kind, "key", q.prefix+relKey)
		q.recorder.add(q, relKey)
	}
}

// Sweep removes every value that is not in found, the bad keys of a new list, in memory and in etcd.
func (q *Set) Sweep(found map[string]bool) {
	q.mu.Lock()
	for relKey := range q.bad {
		if !found[relKey] {
			delete(q.bad, relKey)
		}
	}
	q.count()
	q.mu.Unlock()
	q.recorder.add(q, "")
}

func (q *Set) count() {
	if q.gauge != nil {
		q.gauge.Set(float64(len(q.bad)))
	}
}

// End removes the set from the metrics: the kind is not served any more.
func (q *Set) End() {
	if q.gauge != nil {
		quarantinedValues.DeleteLabelValues(q.kind.GR().String())
	}
}

// Err is what is wrong with the value at relKey; nil: nothing.
func (q *Set) Err(relKey string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bad[relKey].err
}

var quarantinedValues = promauto.NewGaugeVec(prometheus.GaugeOpts{
	Name: "gantry_quarantined_values",
	Help: "Values in etcd that cannot be read and are not served.",
}, []string{"resource"})
