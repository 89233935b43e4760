package scheduler

import (
	"context"
	"time"

	"gantry/registry/safely"
)

// batchSize is how many decisions are made before changes are applied again.
const batchSize = 64

// scheduleLoop applies changes and schedules pods until ctx is done.
func (l *leader) scheduleLoop(ctx context.Context) error {
	if err := l.applyInitialLists(ctx); err != nil {
		return err
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		now := time.Now()
		l.applyChanges(now)
		due := l.state.queue.flush(now)
		more, blocked := l.scheduleBatch(ctx, now)
		if more {
			continue
		}
		var room <-chan struct{}
		if blocked {
			room = l.bindQueue.room
		}
		l.observeQueue()
		timer.Stop()
		if !due.IsZero() {
			timer.Reset(time.Until(due))
		}
		select {
		case change := <-l.changes.items:
			l.applyChange(change, time.Now())
		case <-room:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	return nil
}

// applyChanges applies the changes that are queued.
func (l *leader) applyChanges(now time.Time) {
	for range len(l.changes.items) { // only this goroutine takes items
		l.applyChange(<-l.changes.items, now)
	}
}

func (l *leader) applyChange(change func(now time.Time), now time.Time) {
	safely.Do(l.log, "applying a change", func() { change(now) })
}

// scheduleBatch schedules up to batchSize pods. It returns whether more may be active, and whether it stopped because bindQueue is full.
func (l *leader) scheduleBatch(ctx context.Context, now time.Time) (more, blocked bool) {
	for range batchSize {
		if l.bindQueue.full() {
			return false, true
		}
		began := time.Now()
		found := true
		safely.Do(l.log, "scheduling a pod", func() {
			var d decision
			if d, found = l.state.scheduleOne(now); !found {
				return
			}
			l.observeAttempt(d, time.Since(began))
			if d.panicked != nil {
				l.log.Error("panic recovered", "reason", "scheduling pod "+d.pod.Key, "attempt", d.attempt, "err", d.panicked)
			}
			if d.node != nil {
				l.startBinding(ctx, d, now)
			} else {
				l.reportFailure(d, now)
			}
		})
		if !found {
			return false, false
		}
	}
	return true, false
}
