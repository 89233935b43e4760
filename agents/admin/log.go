package admin

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"
	kjson "sigs.k8s.io/json"

	"gantry/registry"
	"gantry/registry/history"
	"gantry/schema/kinds"
)

const byHand = "by hand"

// printLog prints an object's revisions, newest first.
func printLog(c *cli.Context, s *session) error {
	o, err := objectOf(c)
	if err != nil {
		return err
	}
	limit := c.Int("limit")
	if limit < 0 {
		return fmt.Errorf("--limit %d is negative", limit)
	}
	versions, err := history.Versions(s.ctx, s.store, o.key, limit)
	if err != nil {
		return err
	}
	if len(versions) == 0 {
		return fmt.Errorf("%s not found, nor in the history that etcd still has", o)
	}
	w := tabwriter.NewWriter(s.out, 0, 8, 3, ' ', 0)
	fmt.Fprintln(w, "REVISION\tWHEN\tWHO\tCHANGE")
	for _, v := range slices.Backward(versions) {
		when, who, err := s.signature(v)
		if err != nil {
			return err
		}
		lines := describe(o.key, v, c.Bool("status"))
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", v.Revision, when, who, lines[0])
		for _, line := range lines[1:] {
			fmt.Fprintf(w, "\t\t\t%s\n", line)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if versions[0].First {
		fmt.Fprintf(s.notes, "What was before revision %d is compacted.\n", versions[0].Revision)
	}
	return nil
}

const timeFormat = "2006-01-02 15:04:05"

// nearEnough is how far apart the bounds of a time may be for it to be told.
const nearEnough = time.Minute

// signature is when and by whom a version was made, as far as it is known.
func (s *session) signature(v *history.Version) (when, who string, err error) {
	if v.By != nil {
		return v.By.Time.In(s.local).Format(timeFormat), v.By.User, nil
	}
	after, before, err := s.between(v)
	switch {
	case err != nil:
		return "", "", err
	case after.IsZero() || before.IsZero() || before.Sub(after) > nearEnough:
		when = "-"
	default:
		when = "~" + before.In(s.local).Format(timeFormat)
	}
	if v.First { // its stamp, had it one, could not be checked
		return when, "-", nil
	}
	return when, byHand, nil
}

// between bounds the time of a version by its neighbours; the newest revision of all was before now.
func (s *session) between(v *history.Version) (after, before time.Time, err error) {
	after, before, err = history.Between(s.ctx, s.store, v.Revision)
	if errors.Is(err, registry.Expired) {
		return after, before, nil
	}
	if err == nil && before.IsZero() && !after.IsZero() {
		before = s.now
	}
	return after, before, err
}

// describe is what a version changed, a line each; at least one.
func describe(key string, v *history.Version, allStatus bool) []string {
	if v.Value == nil {
		return []string{"deleted"}
	}
	now, err := tree(key, v)
	if err != nil {
		return []string{"cannot be read: " + err.Error()}
	}
	switch {
	case v.First:
		return []string{"(as it was when history begins)"}
	case v.Previous == nil || v.Previous.Value == nil:
		return []string{"created"}
	}
	before, err := tree(key, v.Previous)
	if err != nil {
		return []string{"can be read again"}
	}
	wanted, status := sorted(changes("", before, now))
	var lines []string
	for _, c := range wanted {
		if strings.HasPrefix(key, secrets) && strings.HasPrefix(c.path, "data") {
			c = c.masked()
		}
		lines = append(lines, c.String())
	}
	if allStatus {
		for _, c := range status {
			lines = append(lines, c.String())
		}
	} else if len(status) > 0 {
		lines = append(lines, summary(status))
	}
	if len(lines) == 0 {
		return []string{"(written again, nothing changed)"}
	}
	return lines
}

// secrets is where the values lie that logs do not show.
const secrets = "/registry/secrets/"

// tree is a version as a tree of JSON: what the API serves.
func tree(key string, v *history.Version) (map[string]any, error) {
	it, err := registry.Read(kinds.BuiltIn(), key, v)
	if err != nil {
		return nil, err
	}
	return decoded(it)
}

func decoded(it *registry.Item) (map[string]any, error) {
	var out map[string]any
	err := kjson.UnmarshalCaseSensitivePreserveInts(it.JSON, &out)
	return out, err
}
