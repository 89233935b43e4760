package engine

import (
	"bytes"
	"context"
	"io"
	"strconv"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"
)

// Logs is Engine's. Docker's own tail counts records, of which a long line has several: see logtail.go.
func (d *Docker) Logs(ctx context.Context, id string, o LogOptions) (Log, error) {
	q := container.LogsOptions{ShowStdout: o.Stdout, ShowStderr: o.Stderr, Follow: o.Follow, Tail: "all"}
	if !o.Since.IsZero() {
		q.Since = o.Since.Format(time.RFC3339Nano)
	}
	lines := &lineWriter{stamps: o.Timestamps, spare: spareRecords}
	switch {
	case o.Tail == 0:
		q.Tail = "0"
	case o.Tail > 0:
		begin, err := d.lastLines(ctx, id, q, o.TTY, o.Tail)
		if err != nil {
			return nil, classify(err)
		}
		q.Tail, lines.skip = strconv.Itoa(begin.records), begin.stamp
	}
	q.Timestamps = lines.stamps || lines.skip != ""
	from, err := d.api.ContainerLogs(ctx, id, q)
	if err != nil {
		return nil, classify(err)
	}
	return &dockerLog{ReadCloser: from, tty: o.TTY, records: q.Timestamps, lines: lines}, nil
}

// dockerLog is a log as Docker sends it.
type dockerLog struct {
	io.ReadCloser
	tty     bool
	records bool // it was asked for with timestamps
	lines   *lineWriter
}

// CopyTo is Log's.
func (l *dockerLog) CopyTo(w io.Writer) (err error) {
	l.lines.to = w
	switch {
	case l.records:
		err = readRecords(l.ReadCloser, l.tty, l.lines.write)
	case l.tty:
		_, err = io.Copy(w, l.ReadCloser)
	default:
		_, err = stdcopy.StdCopy(w, w, l.ReadCloser) // streams not asked for never come
	}
	return err
}

// LogTail is Engine's. Docker counts records: one more is asked for, so that a whole record of a line whose end comes first is there.
func (d *Docker) LogTail(ctx context.Context, id string, lines int) ([]byte, error) {
	r, err := d.api.ContainerLogs(ctx, id, container.LogsOptions{ShowStdout: true, ShowStderr: true, Tail: strconv.Itoa(lines + 1)})
	if err != nil {
		return nil, classify(err)
	}
	defer r.Close()
	var b bytes.Buffer
	if _, err := stdcopy.StdCopy(&b, &b, r); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
