package eventstream

import (
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// stuck is a client that reads nothing: a write to it ends only by its deadline.
type stuck struct {
	http.ResponseWriter
	cut chan struct{}
}

func (s stuck) Write([]byte) (int, error) {
	<-s.cut
	return 0, os.ErrDeadlineExceeded
}

func (s stuck) SetWriteDeadline(end time.Time) error {
	time.AfterFunc(time.Until(end), func() { close(s.cut) })
	return nil
}

func TestStalledWatcherIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var open atomic.Int64
		s := New(stuck{cut: make(chan struct{})}, &open)
		s.buf = append(s.buf, "event"...)
		began := time.Now()
		if err := s.write(); err == nil || time.Since(began) != WriteTimeout {
			t.Errorf("the write ended after %s: %v, want %s and an error", time.Since(began), err, WriteTimeout)
		}
		s.Close()
		if n := open.Load(); n != 0 {
			t.Errorf("%d streams are open", n)
		}
	})
}

func TestBusyWatchersGatherEvents(t *testing.T) {
	for _, c := range []struct {
		name     string
		watchers int64
		want     time.Duration
	}{
		{"a few wait for nothing", 10, 0},
		{"many wait for their turn", 200, 5 * time.Millisecond},
		{"never for long", 5000, maxPause},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var open atomic.Int64
				s := New(nil, &open)
				defer s.Close()
				open.Store(c.watchers)
				began := time.Now()
				s.pause(t.Context()) // nothing was written yet
				s.wrote = time.Now()
				s.pause(t.Context())
				s.pause(t.Context()) // that time is over
				if got := time.Since(began); got != c.want {
					t.Errorf("paused for %s, want %s", got, c.want)
				}
			})
		})
	}
}
