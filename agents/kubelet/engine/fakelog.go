package engine

import (
	"context"
	"io"
	"strings"
	"sync"
	"time"
)

// fakeLog is the log of a fake container: lines, or the unfinished last of a stream.
type fakeLog struct {
	mu      sync.Mutex // guards what follows
	records []fakeRecord
	ended   bool
	changed chan struct{} // closed and replaced with every change
}

// fakeRecord is one write of one line.
type fakeRecord struct {
	time   time.Time
	stdout bool
	text   string
}

func newFakeLog() *fakeLog { return &fakeLog{changed: make(chan struct{})} }

func (l *fakeLog) writer(stdout bool) io.Writer { return fakeLogWriter{l, stdout} }

type fakeLogWriter struct {
	log    *fakeLog
	stdout bool
}

// Write appends what is written, line by line.
func (w fakeLogWriter) Write(b []byte) (int, error) {
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	for line := range strings.Lines(string(b)) {
		w.log.records = append(w.log.records, fakeRecord{time.Now(), w.stdout, line})
	}
	w.log.wake()
	return len(b), nil
}

// wake wakes followers. l.mu is held.
func (l *fakeLog) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// end ends the log: its container has ended.
func (l *fakeLog) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.wake()
}

func (l *fakeLog) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.records)
}

// follow calls f for every record from the index on until the log or ctx ends.
func (l *fakeLog) follow(ctx context.Context, from int, f func(fakeRecord) error) error {
	for {
		l.mu.Lock()
		records, ended, changed := l.records[from:], l.ended, l.changed
		l.mu.Unlock()
		for _, r := range records {
			if err := f(r); err != nil {
				return err
			}
		}
		from += len(records)
		if ended {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// openFakeLog is a Log of a Fake.
type openFakeLog struct {
	ctx     context.Context // of the call that opened it
	log     *fakeLog
	options LogOptions
}

// Logs is Engine's.
func (f *Fake) Logs(ctx context.Context, id string, o LogOptions) (Log, error) {
	c, unlock, err := f.container(id)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return &openFakeLog{ctx, c.log, o}, nil
}

// CopyTo is Log's.
func (l *openFakeLog) CopyTo(w io.Writer) error {
	begins := true
	write := func(r fakeRecord) error {
		if r.stdout && !l.options.Stdout || !r.stdout && !l.options.Stderr || r.time.Before(l.options.Since) {
			return nil
		}
		text := r.text
		if l.options.Timestamps && begins {
			text = r.time.UTC().Format("2006-01-02T15:04:05.000000000Z") + " " + text
		}
		begins = strings.HasSuffix(text, "\n")
		_, err := io.WriteString(w, text)
		return err
	}
	l.log.mu.Lock()
	records := l.log.records
	l.log.mu.Unlock()
	for _, r := range records[tailIndex(records, l.options.Tail):] {
		if err := write(r); err != nil {
			return err
		}
	}
	if !l.options.Follow {
		return nil
	}
	return l.log.follow(l.ctx, len(records), write)
}

// tailIndex is where the last n lines begin.
func tailIndex(records []fakeRecord, n int) int {
	if n == AllLines {
		return 0
	}
	i := len(records)
	for ; i > 0; i-- {
		if i == len(records) || strings.HasSuffix(records[i-1].text, "\n") {
			if n == 0 {
				break
			}
			n--
		}
	}
	return i
}

// Close is Log's.
func (l *openFakeLog) Close() error { return nil }

// LogTail is Engine's.
func (f *Fake) LogTail(ctx context.Context, id string, lines int) ([]byte, error) {
	log, err := f.Logs(ctx, id, LogOptions{Stdout: true, Stderr: true, Tail: lines})
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	err = log.CopyTo(&b)
	return []byte(b.String()), err
}
