package engine

import (
	"context"
	"strconv"

	"github.com/docker/docker/api/types/container"
)

// The engine's own tail counts records. To count lines, their records are read first: no more than maxCounted, as a number
// above that is a log's size rather than its end. spareRecords are asked for besides where records are known that begin a line, as
// more may come between the two reads.
const (
	maxCounted   = 100_000
	spareRecords = 1000
)

// beginning is where the last lines of a log begin.
type beginning struct {
	records int
	stamp   string // of the record they begin with; "" with the first of the records
}

// lastLines finds the last n lines, at least one, of what o asks for.
func (d *Docker) lastLines(ctx context.Context, id string, o container.LogsOptions, tty bool, n int) (beginning, error) {
	o.Follow, o.Timestamps, o.ShowStdout, o.ShowStderr = false, true, true, true
	for ask := n; ; ask *= 4 {
		if n >= maxCounted || ask > maxCounted {
			return beginning{records: max(n, ask/4)}, nil
		}
		o.Tail = strconv.Itoa(ask + 1) // the one before tells whether the first begins a line
		got, err := d.readTail(ctx, id, o, tty)
		if err != nil {
			return beginning{}, err
		}
		at, found := got.lastLines(n)
		switch {
		case found && len(got)-at == n:
			return beginning{records: n}, nil // each line is one record
		case found:
			return beginning{records: len(got) - at + spareRecords, stamp: got[at].stamp}, nil
		case len(got) <= ask:
			return beginning{records: ask + 1 + spareRecords}, nil // there are no more
		}
	}
}

// tailRecords are the last records of a log.
type tailRecords []struct {
	stamp string
	ends  bool // its line
}

func (d *Docker) readTail(ctx context.Context, id string, o container.LogsOptions, tty bool) (got tailRecords, err error) {
	from, err := d.api.ContainerLogs(ctx, id, o)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	err = readRecords(from, tty, func(stamp, text []byte) error {
		got = append(got, struct {
			stamp string
			ends  bool
		}{string(stamp), len(text) == 0 || text[len(text)-1] == '\n'})
		return nil
	})
	return got, err
}

// lastLines is where the last n lines begin; not found: there are fewer, or they begin before.
func (t tailRecords) lastLines(n int) (at int, found bool) {
	for at = len(t) - 1; at > 0; at-- {
		if t[at-1].ends {
			if n--; n == 0 {
				return at, true
			}
		}
	}
	return 0, false
}
