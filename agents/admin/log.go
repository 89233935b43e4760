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
)

const byHand = "by hand"

// printLog prints an object's revisions, newest first.
func printLog(c *cli.Context, s *session) error {
	o, err := s.object(c)
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
		return fmt.Errorf("%s not found, also not in etcd's history", o)
	}
	w := tabwriter.NewWriter(s.out, 0, 8, 3, ' ', 0)
	fmt.Fprintln(w, "REVISION\tWHEN\tWHO\tCHANGE")
	for _, v := range slices.Backward(versions) {
		when, who, err := s.whenAndWho(v)
		if err != nil {
			return err
		}
		lines := s.describe(o.key, v, c.Bool("status"))
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", v.Revision, when, who, lines[0])
		for _, line := range lines[1:] {
			fmt.Fprintf(w, "\t\t\t%s\n", line)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if versions[0].First {
		fmt.Fprintf(s.notes, "Revisions before %d are compacted.\n", versions[0].Revision)
	}
	return nil
}

const timeFormat = "2006-01-02 15:04:05"

// maxTimeGap is how far apart the bounds of a time may be for it to be printed.
const maxTimeGap = time.Minute

// whenAndWho returns when and by whom a version was written, as far as that is known.
func (s *session) whenAndWho(v *history.Version) (when, who string, err error) {
	if v.By != nil {
		return v.By.Time.In(s.local).Format(timeFormat), v.By.User, nil
	}
	after, before, err := s.timeBounds(v)
	switch {
	case err != nil:
		return "", "", err
	case after.IsZero() || before.IsZero() || before.Sub(after) > maxTimeGap:
		when = "-"
	default:
		when = "~" + before.In(s.local).Format(timeFormat)
	}
	if v.First { // the previous revision is compacted, so a write record cannot be checked
		return when, "-", nil
	}
	return when, byHand, nil
}

// timeBounds returns the times of the write records before and after a version; zero: unknown. The newest revision of etcd is bounded by
// now.
func (s *session) timeBounds(v *history.Version) (after, before time.Time, err error) {
	after, before, err = history.Between(s.ctx, s.store, v.Revision)
	if errors.Is(err, registry.Expired) {
		return after, before, nil
	}
	if err == nil && before.IsZero() && !after.IsZero() {
		before = s.now
	}
	return after, before, err
}

// describe returns what a version changed, a line for each change; at least one line.
func (s *session) describe(key string, v *history.Version, allStatus bool) []string {
	if v.Value == nil {
		return []string{"deleted"}
	}
	now, err := s.decode(key, v)
	if err != nil {
		return []string{"cannot be read: " + err.Error()}
	}
	switch {
	case v.First:
		return []string{"(oldest revision in history)"}
	case v.Previous == nil || v.Previous.Value == nil:
		return []string{"created"}
	}
	before, err := s.decode(key, v.Previous)
	if err != nil {
		return []string{"can be read again"}
	}
	desired, status := splitStatus(changes("", before, now))
	var lines []string
	for _, c := range desired {
		if strings.HasPrefix(key, secretPrefix) && strings.HasPrefix(c.path, "data") {
			c = c.masked()
		}
		lines = append(lines, c.String())
	}
	if allStatus {
		for _, c := range status {
			lines = append(lines, c.String())
		}
	} else if len(status) > 0 {
		lines = append(lines, summarizeStatus(status))
	}
	if len(lines) == 0 {
		return []string{"(written without a change)"}
	}
	return lines
}

// secretPrefix has the objects whose data the log masks.
const secretPrefix = "/registry/secrets/"

// decode returns a version as the JSON that the API serves.
func (s *session) decode(key string, v *history.Version) (map[string]any, error) {
	it, err := registry.Read(s.kinds, key, v)
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
