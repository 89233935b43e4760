package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

// results says of every test how it went.
type results struct {
	tests  []string
	passed map[string]bool
	failed map[string]string // first line of the failure
	notRun map[string]string // why
}

func newResults(tests []string) *results {
	r := &results{tests: tests, passed: map[string]bool{}, failed: map[string]string{}, notRun: map[string]string{}}
	for _, t := range tests {
		r.notRun[t] = "not chosen"
	}
	return r
}

// add takes the cases of one part's report. Those the part did not choose are skipped in it without a message.
func (r *results) add(cases []testCase) {
	for _, c := range cases {
		name := r.known(strings.TrimPrefix(c.Name, "[It] "))
		if name == "" {
			continue
		}
		switch {
		case c.Failure != nil:
			r.failed[name] = firstLine(c.Failure.Message, c.Failure.Text)
			delete(r.notRun, name)
		case c.Status == "passed":
			r.passed[name] = true
			delete(r.notRun, name)
		case c.Skipped != nil && strings.Contains(c.Skipped.Message, " - "):
			r.notRun[name] = firstLine(c.Skipped.Message)
		}
	}
}

var labels = regexp.MustCompile(` \[[^\[\]]*\]$`)

// known returns the test that a report's name begins with, "" for none: ginkgo appends labels, as in `... [Conformance, sig-node]`.
func (r *results) known(name string) string {
	for {
		if slices.Contains(r.tests, name) {
			return name
		}
		short := labels.ReplaceAllString(name, "")
		if short == name {
			return ""
		}
		name = short
	}
}

func firstLine(texts ...string) string {
	for _, t := range texts {
		for _, line := range strings.Split(t, "\n") {
			if line = strings.Join(strings.Fields(line), " "); line != "" && line != "skipped" {
				return line[:min(len(line), 240)]
			}
		}
	}
	return "no message"
}

func (r *results) print(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%sPassed %d, failed %d, not run %d, of %d.\n", r.list("Failed", r.failed), len(r.passed), len(r.failed), len(r.notRun), len(r.tests))
	return err
}

// list is a chapter with one test a line.
func (r *results) list(title string, tests map[string]string) string {
	if len(tests) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n", title)
	for _, t := range slices.Sorted(maps.Keys(tests)) {
		fmt.Fprintf(&b, "- `%s`: %s\n", t, tests[t])
	}
	return b.String() + "\n"
}

// write writes all of it to a file, with what changed since the file was written last.
func (r *results) write(file, version string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Conformance\n\nKubernetes v1.36.3's conformance suite on Gantry %s, two nodes, %s.\n\n", version, time.Now().Format(time.DateOnly))
	fmt.Fprintf(&b, "**Passed %d, failed %d, not run %d, of %d.** Written by `./scripts/conformance`.\n\n", len(r.passed), len(r.failed), len(r.notRun), len(r.tests))
	b.WriteString(r.table())
	if last, err := os.ReadFile(file); err == nil {
		b.WriteString(r.changes(string(last)))
	}
	b.WriteString(r.list("Failed", r.failed) + r.list("Not run", r.notRun))
	return os.WriteFile(file, []byte(strings.TrimRight(b.String(), "\n")+"\n"), 0o644)
}

// table counts by SIG.
func (r *results) table() string {
	type count struct{ passed, failed, notRun int }
	sigs := map[string]*count{}
	for _, t := range r.tests {
		sig, _, _ := strings.Cut(strings.TrimPrefix(t, "["), "]")
		if sigs[sig] == nil {
			sigs[sig] = &count{}
		}
		switch c := sigs[sig]; {
		case r.passed[t]:
			c.passed++
		case r.failed[t] != "":
			c.failed++
		default:
			c.notRun++
		}
	}
	var b strings.Builder
	b.WriteString("| SIG | passed | failed | not run |\n|---|---|---|---|\n")
	for _, sig := range slices.Sorted(maps.Keys(sigs)) {
		fmt.Fprintf(&b, "| %s | %d | %d | %d |\n", sig, sigs[sig].passed, sigs[sig].failed, sigs[sig].notRun)
	}
	return b.String() + "\n"
}

// changes lists the tests that passed before and do not now, and the other way round. The last file lists every test
// that did not pass.
func (r *results) changes(last string) string {
	better, worse := map[string]string{}, map[string]string{}
	for _, t := range r.tests {
		before := !strings.Contains(last, "- `"+t+"`:")
		switch {
		case r.passed[t] && !before:
			better[t] = "passes"
		case before && r.failed[t] != "":
			worse[t] = "fails"
		case before && !r.passed[t]:
			worse[t] = "was not run"
		}
	}
	both := map[string]string{}
	maps.Copy(both, better)
	maps.Copy(both, worse)
	return r.list(fmt.Sprintf("Since the last run: %d better, %d worse", len(better), len(worse)), both)
}
