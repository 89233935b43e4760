package registry

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"gantry/schema"
)

// badRecord is what stands at /gantry/quarantine/<key>.
type badRecord struct {
	Key      string `json:"key"`
	Revision int64  `json:"revision"`
	Error    string `json:"error"`
	// LastGood is the last revision whose value could be read; 0: none is known.
	LastGood int64     `json:"lastGoodRevision,omitempty"`
	Time     time.Time `json:"time"`
}

// recorder writes down what is under quarantine, in a process that may (Config.Quarantine).
type recorder struct {
	store Store
	on    func(k *schema.Kind, namespace, name string, err error)
	write bool
	wake  chan struct{}

	mu   sync.Mutex // guards jobs
	jobs []func(ctx context.Context) error
}

func newRecorder(cfg Config, s Store) *recorder {
	return &recorder{store: s, on: cfg.OnBad, write: cfg.Quarantine, wake: make(chan struct{}, 1)}
}

func (q *recorder) add(job func(ctx context.Context) error) {
	if !q.write {
		return
	}
	q.mu.Lock()
	q.jobs = append(q.jobs, job)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// run writes, one after the other, and repeats what fails, until ctx is done.
func (q *recorder) run(ctx context.Context) error {
	for {
		q.mu.Lock()
		var job func(ctx context.Context) error
		if len(q.jobs) > 0 {
			job, q.jobs = q.jobs[0], q.jobs[1:]
		}
		q.mu.Unlock()
		if job == nil {
			select {
			case <-q.wake:
				continue
			case <-ctx.Done():
				return nil
			}
		}
		for job(ctx) != nil {
			select {
			case <-time.After(lastCampaign):
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// put writes a record, unless one of that revision is there, and tells OnBad: once in the whole cluster where all who
// write records do.
func (q *recorder) put(k *schema.Kind, rest string, b badRecord) {
	tell := func() {
		if q.on != nil {
			namespace, name, _ := splitKey(k, rest)
			q.on(k, namespace, name, errors.New(b.Error))
		}
	}
	if !q.write {
		tell()
		return
	}
	b.Time = time.Now().UTC().Truncate(time.Second)
	q.add(func(ctx context.Context) error {
		kv, _, err := q.store.Get(ctx, quarantineKey(b.Key), 0)
		if err != nil {
			return err
		}
		var old badRecord
		var rev int64
		if kv != nil {
			rev = kv.ModRevision
			if json.Unmarshal(kv.Value, &old) == nil && old.Revision >= b.Revision {
				return nil
			}
		}
		if b.LastGood == 0 {
			b.LastGood = max(old.LastGood, q.lastGood(ctx, k, rest, b))
		}
		value, err := json.Marshal(b)
		if err != nil {
			return nil // cannot happen
		}
		res, err := q.store.Commit(ctx, Txn{
			Compares: []Compare{{Key: quarantineKey(b.Key), Revision: rev}},
			Puts:     []Put{{Key: quarantineKey(b.Key), Value: value}},
		})
		if err == nil && res.Done {
			tell()
		}
		return err
	})
}

// maxLook bounds how many bad values in a row are looked behind.
const maxLook = 16

// lastGood looks in etcd's history for the last value before b that can be read; 0: there is none any more.
func (q *recorder) lastGood(ctx context.Context, k *schema.Kind, rest string, b badRecord) int64 {
	rev := b.Revision
	for range maxLook {
		kv, _, err := q.store.Get(ctx, b.Key, rev-1)
		if err != nil || kv == nil {
			return 0
		}
		if _, err := itemAt(k, rest, kv, false); err == nil {
			return kv.ModRevision
		}
		rev = kv.ModRevision
	}
	return 0
}

// remove takes a record away.
func (q *recorder) remove(key string) {
	q.add(func(ctx context.Context) error {
		_, err := q.store.Commit(ctx, Txn{Deletes: []string{quarantineKey(key)}})
		return err
	})
}

// sweep takes the records of a prefix away whose key is no longer bad.
func (q *recorder) sweep(prefix string, bad func(key string) bool) {
	q.add(func(ctx context.Context) error {
		start := quarantineKey(prefix)
		kvs, _, _, err := q.store.List(ctx, start, rangeEnd(start), 0, 0)
		for _, kv := range kvs {
			if key := "/" + strings.TrimPrefix(kv.Key, quarantinePrefix); !bad(key) {
				q.remove(key)
			}
		}
		return err
	})
}
