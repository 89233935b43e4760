package server

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"gantry/agents/kubelet/engine"
	"gantry/registry"
)

// logs answers with a container's log: both of its streams as they came, unless one is asked for.
func (s *server) logs(w http.ResponseWriter, r *http.Request) {
	q, err := parseLogQuery(r.URL.Query(), time.Now())
	if err != nil {
		s.fail(w, r, &registry.Error{Kind: registry.BadRequest, Reason: err.Error()})
		return
	}
	id, ok := s.container(w, r, q.previous)
	if !ok {
		return
	}
	c, err := s.cfg.Engine.Container(r.Context(), id)
	if err != nil {
		s.fail(w, r, fmt.Errorf("inspecting container %s: %w", id, err))
		return
	}
	q.options.TTY = c.TTY
	from, err := s.cfg.Engine.Logs(r.Context(), id, q.options)
	if err != nil {
		s.fail(w, r, fmt.Errorf("reading log of container %s: %w", id, err))
		return
	}
	defer from.Close()
	to := &logWriter{w: w, conn: http.NewResponseController(w), left: q.limit, eager: q.options.Follow}
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(http.StatusOK)
	if to.eager {
		err = to.conn.Flush() // the log may be long in coming
	}
	if err == nil {
		err = from.CopyTo(to)
	}
	if err != nil && !errors.Is(err, errLimit) && r.Context().Err() == nil {
		s.cfg.Log.Debug("log ended", "path", r.URL.Path, "err", err)
	}
}

// logQuery is what a request asks of a log.
type logQuery struct {
	options  engine.LogOptions
	previous bool
	limit    int64 // bytes; -1: none
}

// parseLogQuery reads the parameters of Kubernetes' PodLogOptions. Pure.
func parseLogQuery(v url.Values, now time.Time) (logQuery, error) {
	q := logQuery{options: engine.LogOptions{Stdout: true, Stderr: true, Tail: engine.AllLines}, limit: -1}
	var err error
	flag := func(name string) bool {
		b, perr := strconv.ParseBool(v.Get(name))
		if v.Get(name) != "" && perr != nil {
			err = fmt.Errorf("parameter %s: %q is not true or false", name, v.Get(name))
		}
		return b
	}
	number := func(name string, least int64) (int64, bool) {
		if v.Get(name) == "" {
			return 0, false
		}
		n, perr := strconv.ParseInt(v.Get(name), 10, 64)
		if perr != nil || n < least {
			err = fmt.Errorf("parameter %s: %q is not a number of at least %d", name, v.Get(name), least)
		}
		return n, true
	}
	q.options.Follow, q.options.Timestamps, q.previous = flag("follow"), flag("timestamps"), flag("previous")
	if n, ok := number("tailLines", 0); ok {
		q.options.Tail = int(n)
	}
	if n, ok := number("limitBytes", 1); ok {
		q.limit = n
	}
	if n, ok := number("sinceSeconds", 1); ok {
		q.options.Since = now.Add(-time.Duration(min(n, maxSince)) * time.Second)
	}
	if t := v.Get("sinceTime"); t != "" {
		at, perr := time.Parse(time.RFC3339, t)
		if perr != nil {
			return q, fmt.Errorf("parameter sinceTime: %w", perr)
		}
		q.options.Since = at
	}
	switch v.Get("stream") {
	case "", "All":
	case "Stdout":
		q.options.Stderr = false
	case "Stderr":
		q.options.Stdout = false
	default:
		return q, fmt.Errorf("parameter stream: %q is not one of All, Stdout, Stderr", v.Get("stream"))
	}
	return q, err
}

// maxSince keeps a number of seconds within what a time can be: a century.
const maxSince = 100 * 365 * 24 * 3600

// errLimit ends a log that has reached its limit.
var errLimit = errors.New("the limit is reached")

// logWriter writes to a client, every piece at once where it follows the log, and no more than left bytes (-1: any number).
type logWriter struct {
	w     io.Writer
	conn  *http.ResponseController
	left  int64
	eager bool
}

func (l *logWriter) Write(b []byte) (int, error) {
	cut := l.left >= 0 && int64(len(b)) >= l.left
	if cut {
		b = b[:l.left]
	}
	n, err := l.w.Write(b)
	if l.left >= 0 {
		l.left -= int64(n)
	}
	if err == nil && l.eager {
		err = l.conn.Flush()
	}
	if err == nil && cut {
		err = errLimit
	}
	return n, err
}
