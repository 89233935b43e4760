package kubelet

import (
	"context"
	"sync"
	"time"

	"gantry/registry/safely"
)

// Keys of jobs that belong to no container.
const (
	confirmKey = "/confirm"
	statusKey  = "/status"
)

// spawn runs work beside the worker unless a job has the key already. What it returns is applied by the worker; an error is
// logged and the worker steps again after stepRetry.
func (w *worker) spawn(ctx context.Context, wg *sync.WaitGroup, key string, j *job, work func(ctx context.Context) (apply func(), err error)) {
	if w.jobs[key] != nil {
		return
	}
	parent := ctx
	ctx, j.cancel = context.WithCancel(ctx)
	done := make(chan struct{})
	j.done = done
	w.jobs[key] = j
	wg.Go(func() {
		var apply func()
		err := safely.Call(func() (err error) {
			apply, err = work(ctx)
			return err
		})
		close(done)
		finish := func() {
			defer j.cancel()
			if w.jobs[key] == j {
				delete(w.jobs, key)
			}
			if apply != nil {
				safely.Do(w.log, "applying the result of job "+key, apply)
			}
			if err != nil && ctx.Err() == nil {
				w.log.Warn("pod job failed", "job", key, "after", stepRetry, "err", err)
			}
			if err != nil {
				time.AfterFunc(stepRetry, w.wakeUp)
			}
		}
		select {
		case w.results <- finish:
		case <-parent.Done():
			j.cancel()
		}
	})
}

// job is something that takes time, done beside the worker.
type job struct {
	do     verb
	cancel context.CancelFunc
	hooked bool            // a start with a postStart handler, which ends with that
	done   <-chan struct{} // closed at its end
	until  time.Time       // a stop's end of grace
}
