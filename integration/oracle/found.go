package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// readFound reads the generated requests that are always sent: lines of a kind, a tab and an id.
func readFound(file string) (map[string][]string, error) {
	text, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	out := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		if kind, id, ok := strings.Cut(strings.TrimRight(line, "\n"), "\t"); ok {
			out[kind] = append(out[kind], id)
		}
	}
	return out, nil
}

// keepFound adds the generated requests with differences that are not accepted; pairs are not kept.
func keepFound(file string, results []result, accepted []*acceptance) error {
	found, err := readFound(file)
	if err != nil {
		return err
	}
	for _, r := range results {
		if k := r.kindName(); r.generated && slices.ContainsFunc(r.differences, func(d difference) bool { return acceptanceOf(accepted, r, d) == nil }) && !strings.Contains(r.id, " & ") && !slices.Contains(found[k], r.id) {
			found[k] = append(found[k], r.id)
		}
	}
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(found)) {
		slices.Sort(found[k])
		for _, id := range found[k] {
			fmt.Fprintf(&b, "%s\t%s\n", k, id)
		}
	}
	return os.WriteFile(file, []byte(b.String()), 0o644)
}
