package explain

import (
	"encoding/json"
	"fmt"
	"strings"

	"gantry/agents/admin/snapshot"
)

// Line is one finding. Lines below it, of a greater depth, are why.
type Line struct {
	Depth int `json:"depth"`
	// Wanted tells that this is as it is wanted.
	Wanted bool   `json:"wanted"`
	Text   string `json:"text"`
	// Key and Revision are where in etcd it was read; "": it follows from lines above, or was read from From.
	Key      string `json:"key,omitempty"`
	Revision int64  `json:"revision,omitempty"`
	// From is where else it was read, on this machine: "nft table ip gantry".
	From string `json:"from,omitempty"`
}

// Report is the answer to one question.
type Report struct {
	// Revision is that of the state that was read.
	Revision int64  `json:"revision"`
	Lines    []Line `json:"lines"`
}

// width is how many columns a line of text has.
const width = 118

// Text is the report for a terminal.
func (r *Report) Text() string {
	var b strings.Builder
	for _, l := range r.Lines {
		indent := strings.Repeat("  ", l.Depth)
		mark := "- "
		if l.Depth == 0 {
			mark = ""
		}
		rest := strings.Repeat(" ", len(indent)+len(mark))
		text := l.Text
		switch {
		case l.Key != "":
			text += fmt.Sprintf("  [%s @%d]", l.Key, l.Revision)
		case l.From != "":
			text += fmt.Sprintf("  [%s]", l.From)
		}
		for i, part := range wrap(text, width-len(rest)) {
			if i == 0 {
				fmt.Fprintf(&b, "%s%s%s\n", indent, mark, part)
			} else {
				fmt.Fprintf(&b, "%s%s%s\n", rest, "  ", part)
			}
		}
	}
	fmt.Fprintf(&b, "(etcd at revision %d)\n", r.Revision)
	return b.String()
}

// wrap parts a text between words, so that no line has more columns than n where that is possible. It removes control characters.
func wrap(text string, n int) (lines []string) {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	line := ""
	for word := range strings.SplitSeq(text, " ") {
		if line != "" && len(line)+1+len(word) > n {
			lines = append(lines, strings.TrimRight(line, " "))
			line = word
			continue
		}
		if line != "" || len(lines) > 0 && word == "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// JSON is the report for programs.
func (r *Report) JSON() ([]byte, error) {
	text, err := json.MarshalIndent(r, "", "    ")
	return append(text, '\n'), err
}

// Add adds a finding about an object; nil: about none.
func (r *Report) Add(depth int, wanted bool, e *snapshot.Entry, format string, args ...any) {
	l := Line{Depth: depth, Wanted: wanted, Text: fmt.Sprintf(format, args...)}
	if e != nil {
		l.Key, l.Revision = e.Key, e.Revision
	}
	r.Lines = append(r.Lines, l)
}

// AddFrom adds a finding that was read on this machine; from says where.
func (r *Report) AddFrom(depth int, wanted bool, from, format string, args ...any) {
	r.Lines = append(r.Lines, Line{Depth: depth, Wanted: wanted, From: from, Text: fmt.Sprintf(format, args...)})
}
