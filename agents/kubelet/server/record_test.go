package server

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"

	"gantry/agents/kubelet/engine"
)

// As the engine package has them.
const (
	pieceSize    = 16 << 10
	spareRecords = 1000
)

// logEngine is an engine that keeps one log as Docker does: in records of lines, or of pieces of them. Its containers whose names
// begin with tty have a terminal.
type logEngine struct {
	*fakeDocker
	records []fakeRecord
	// grows is what is written between the reads that count and the one that answers, which asks for spare records.
	grows []string
}

type fakeRecord struct {
	stamp, text string
	stream      stdcopy.StdType
}

// print writes to the log; each call is a time of its own.
func (e *logEngine) print(stream stdcopy.StdType, text string) {
	for line := range strings.Lines(text) {
		stamp := fmt.Sprintf("2026-05-01T12:00:00.%09dZ", len(e.records))
		for len(line) >= pieceSize && line != "\n" {
			e.records = append(e.records, fakeRecord{stamp, line[:pieceSize], stream})
			line = line[pieceSize:]
		}
		if line != "" {
			e.records = append(e.records, fakeRecord{stamp, line, stream})
		}
	}
}

func (e *logEngine) ContainerInspect(_ context.Context, id string) (container.InspectResponse, error) {
	return inspected(id, strings.HasPrefix(id, "tty")), nil
}

func (e *logEngine) ContainerLogs(_ context.Context, id string, o container.LogsOptions) (io.ReadCloser, error) {
	records := e.records
	if o.Tail != "all" {
		n, err := strconv.Atoi(o.Tail)
		if err != nil {
			return nil, err
		}
		if n > spareRecords {
			for _, text := range e.grows {
				e.print(stdcopy.Stdout, text)
			}
			records = e.records
		}
		records = records[max(0, len(records)-n):]
	}
	var b bytes.Buffer
	for _, r := range records {
		if r.stream == stdcopy.Stdout && !o.ShowStdout || r.stream == stdcopy.Stderr && !o.ShowStderr {
			continue
		}
		text := r.text
		if o.Timestamps {
			text = r.stamp + " " + text
		}
		if strings.HasPrefix(id, "tty") {
			b.WriteString(text)
		} else if _, err := stdcopy.NewStdWriter(&b, r.stream).Write([]byte(text)); err != nil {
			return nil, err
		}
	}
	return io.NopCloser(&b), nil
}

// TestLongLines: a line that the engine keeps in pieces is one line: with one time, and counted once.
func TestLongLines(t *testing.T) {
	long, exact, huge := strings.Repeat("l", 40_000), strings.Repeat("e", pieceSize), strings.Repeat("h ", 1<<20)
	for _, tt := range []struct {
		name, log, query string
		grows            []string
		want             string // # is a time
	}{
		{name: "times", log: "a\n" + long + "\n\n" + exact + "\nb\n", query: "timestamps=true", want: "#a\n#" + long + "\n#\n#" + exact + "\n#b\n"},
		{name: "times, not ended", log: "a\n" + long, query: "timestamps=true", want: "#a\n#" + long},
		{name: "no times", log: "a\n" + long + "\nb\n", want: "a\n" + long + "\nb\n"},
		{name: "the last line", log: "a\n" + long + "\nb\n", query: "tailLines=1", want: "b\n"},
		{name: "a long line and one", log: "a\n" + long + "\nb\n", query: "tailLines=2", want: long + "\nb\n"},
		{name: "with times", log: "a\n" + long + "\nb\n", query: "tailLines=2&timestamps=true", want: "#" + long + "\n#b\n"},
		{name: "a long line last", log: "a\n" + long + "\n", query: "tailLines=1", want: long + "\n"},
		{name: "a long line last, not ended", log: "a\nb\n" + long, query: "tailLines=2", want: "b\n" + long},
		{name: "of just one record", log: "a\n" + exact + "\n", query: "tailLines=1&timestamps=true", want: "#" + exact + "\n"},
		{name: "of many records", log: "a\n" + huge + "\nb\n" + long + "\n", query: "tailLines=3", want: huge + "\nb\n" + long + "\n"},
		{name: "as many as there are", log: long + "\na\n", query: "tailLines=2", want: long + "\na\n"},
		{name: "more than there are", log: "a\n" + long + "\n", query: "tailLines=9", want: "a\n" + long + "\n"},
		{name: "short ones", log: "a\nb\nc\n", query: "tailLines=2", want: "b\nc\n"},
		{name: "none", log: "a\n" + long + "\n", query: "tailLines=0", want: ""},
		{name: "of nothing", log: "", query: "tailLines=2", want: ""},
		{name: "a part", log: "a\n" + long + "\nb\n", query: "tailLines=2&limitBytes=39999", want: long[:39_999]},
		{name: "while it grows", log: "a\n" + long + "\nb\n", query: "tailLines=2", grows: []string{long + "\n"}, want: long + "\nb\n" + long + "\n"},
		{name: "while it grows much", log: "a\n" + long + "\nb\n", query: "tailLines=2",
			grows: []string{strings.Repeat(long+"\n", spareRecords)}, want: strings.Repeat(long+"\n", 1+spareRecords/3)},
		{name: "more than is counted", log: strings.Repeat("a\n", 10), query: "tailLines=100000000", want: strings.Repeat("a\n", 10)},
	} {
		for _, id := range []string{"web", "tty"} {
			t.Run(tt.name+" of "+id, func(t *testing.T) {
				e := &logEngine{fakeDocker: newFakeDocker(t), grows: tt.grows}
				e.print(stdcopy.Stdout, tt.log)
				got := readLog(t, e, id, tt.query)
				if tt.name == "while it grows much" { // which of them is first depends on how many are spare
					if !strings.HasSuffix(tt.want, got) || !strings.HasPrefix(got, long+"\n") {
						t.Errorf("got %d bytes that begin with %.20q", len(got), got)
					}
					return
				}
				for _, r := range e.records {
					got = strings.ReplaceAll(got, r.stamp+" ", "#")
				}
				if got != tt.want {
					t.Errorf("got %d bytes %s\nwant %d %s", len(got), short(got), len(tt.want), short(tt.want))
				}
			})
		}
	}
}

// short is a text without the length of its long lines.
func short(text string) string {
	for _, c := range []string{"l", "e", "h "} {
		for strings.Contains(text, strings.Repeat(c, 20)) {
			text = strings.ReplaceAll(text, strings.Repeat(c, 20), c)
		}
	}
	return strconv.Quote(text[:min(len(text), 300)])
}

// TestTimesOfBothStreams: a time comes only where a line of the answer begins, of either stream.
func TestTimesOfBothStreams(t *testing.T) {
	e := &logEngine{fakeDocker: newFakeDocker(t)}
	long := strings.Repeat("l", pieceSize)
	e.print(stdcopy.Stdout, long)
	e.print(stdcopy.Stderr, "e\n")
	e.print(stdcopy.Stdout, "rest\n")
	e.print(stdcopy.Stderr, "f\n")
	for query, want := range map[string]string{
		"timestamps=true":               "#" + long + "e\n#rest\n#f\n",
		"timestamps=true&stream=Stderr": "#e\n#f\n",
		"tailLines=2":                   "rest\nf\n",
		"tailLines=3":                   long + "e\nrest\nf\n",
	} {
		got := readLog(t, e, "web", query)
		for _, r := range e.records {
			got = strings.ReplaceAll(got, r.stamp+" ", "#")
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", query, short(got), short(want))
		}
	}
}

func readLog(t *testing.T, e *logEngine, id, query string) string {
	t.Helper()
	s := &server{Config{Pods: fakePods{}, Engine: engine.New(e, engine.Config{Node: testNode}), Log: slog.New(slog.DiscardHandler)}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", s.logs)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/containerLogs/default/web/"+id+"?"+query, nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.String()
}
