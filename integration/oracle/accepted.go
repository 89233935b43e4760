package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// acceptance is a difference that is meant; the README's list has one a line.
type acceptance struct {
	pattern *regexp.Regexp // over "KIND CASE PATH: upstream .., gantry .."
	reason  string
	count   int
}

const acceptedTitle = "## Accepted differences"

var acceptedLine = regexp.MustCompile("^- `([^`]+)`: (.+)$")

// readAccepted reads the list from a README: lines of the form "- `regular expression`: reason" below the title.
func readAccepted(file string) ([]*acceptance, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	_, list, ok := strings.Cut(string(text), acceptedTitle)
	if !ok {
		return nil, fmt.Errorf("%s has no section %q", file, acceptedTitle)
	}
	list, _, _ = strings.Cut(list, "\n## ")
	var out []*acceptance
	for line := range strings.Lines(list) {
		m := acceptedLine.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if m == nil {
			continue
		}
		pattern, err := regexp.Compile(m[1])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		out = append(out, &acceptance{pattern: pattern, reason: m[2]})
	}
	return out, nil
}

// accept finds the acceptance of a difference and counts it.
func accept(list []*acceptance, r result, d difference) bool {
	if a := acceptanceOf(list, r, d); a != nil {
		a.count++
		return true
	}
	return false
}

// acceptanceOf is the acceptance of a difference; nil: there is none.
func acceptanceOf(list []*acceptance, r result, d difference) *acceptance {
	text := r.kindName() + " " + r.id + " " + index.ReplaceAllString(d.path, "[*]") + ": upstream " + d.upstream + ", gantry " + d.gantry
	for _, a := range list {
		if a.pattern.MatchString(text) {
			return a
		}
	}
	return nil
}
