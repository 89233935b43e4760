package admin

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pmezard/go-difflib/difflib"
	"github.com/urfave/cli/v2"
	"sigs.k8s.io/yaml"

	"gantry/registry"
	"gantry/registry/history"
)

// diff prints what differs between two revisions of an object, as a unified diff of its YAML.
func diff(c *cli.Context, s *session) error {
	o, err := s.object(c)
	if err != nil {
		return err
	}
	old, new, err := s.versionsToCompare(o, c.Int64Slice("rev"), c.Duration("since"))
	if err != nil {
		return err
	}
	text, err := s.unifiedDiff(o, old, new)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(s.out, text)
	return err
}

// versionsToCompare returns the versions that the flags select; nil: the object did not exist.
func (s *session) versionsToCompare(o object, revs []int64, since time.Duration) (old, new *history.Version, err error) {
	switch {
	case len(revs) > 2:
		return nil, nil, errors.New("--rev is given more than twice")
	case since < 0 || since > 0 && len(revs) > 0:
		return nil, nil, errors.New("--since is a time ago, such as 10m, and excludes --rev")
	case len(revs) == 2:
		slices.Sort(revs)
		if old, err = s.at(o, revs[0]); err != nil {
			return nil, nil, err
		}
		new, err = s.at(o, revs[1])
		return old, new, err
	}
	versions, err := history.Versions(s.ctx, s.store, o.key, 0)
	if err != nil {
		return nil, nil, err
	}
	if len(versions) == 0 {
		return nil, nil, fmt.Errorf("%s not found", o)
	}
	new = versions[len(versions)-1]
	switch {
	case len(revs) == 1:
		old, err = s.at(o, revs[0])
	case since > 0:
		old, err = s.versionAt(versions, since)
	default:
		old = s.beforeLastChange(o, versions)
	}
	return old, new, err
}

// beforeLastChange returns the version that undo would restore; where there is none, the one before the newest.
func (s *session) beforeLastChange(o object, versions []*history.Version) *history.Version {
	new := versions[len(versions)-1]
	if it, err := registry.Read(s.kinds, o.key, new); err == nil {
		if v, err := s.newestMatching(o, versions, func(old *registry.Item) bool { return differInSpec(old, it) }); err == nil {
			return v
		}
	}
	return new.Previous
}

// versionAt returns the version that was current since before now; nil: the object did not exist then. Where history does not
// reach so far it is the oldest version.
func (s *session) versionAt(versions []*history.Version, since time.Duration) (*history.Version, error) {
	then := s.now.Add(-since)
	for _, v := range slices.Backward(versions) {
		var at time.Time
		if v.By != nil {
			at = v.By.Time
		} else if after, before, err := s.timeBounds(v); err != nil {
			return nil, err
		} else if at = before; at.IsZero() {
			at = after
		}
		if !at.IsZero() && !at.After(then) {
			return v, nil
		}
		if v.First {
			fmt.Fprintf(s.notes, "History begins at revision %d: earlier revisions are compacted.\n", v.Revision)
			return v, nil
		}
	}
	return nil, nil
}

// unifiedDiff compares the YAML of two versions; "": they are equal.
func (s *session) unifiedDiff(o object, old, new *history.Version) (string, error) {
	a, err := s.lines(o, old)
	if err != nil {
		return "", err
	}
	b, err := s.lines(o, new)
	if err != nil {
		return "", err
	}
	return difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
		A: a, B: b, FromFile: label(o, old), ToFile: label(o, new), Context: 3,
	})
}

func label(o object, v *history.Version) string {
	if v == nil {
		return o.key + " (does not exist)"
	}
	if v.Value == nil {
		return fmt.Sprintf("%s (revision %d: deleted)", o.key, v.Revision)
	}
	return fmt.Sprintf("%s (revision %d)", o.key, v.Revision)
}

// lines returns a version as lines of YAML, or as it is stored where it cannot be read.
func (s *session) lines(o object, v *history.Version) ([]string, error) {
	if v == nil || v.Value == nil {
		return nil, nil
	}
	it, err := registry.Read(s.kinds, o.key, v)
	if err != nil {
		return difflib.SplitLines(string(v.Value)), nil
	}
	obj, err := decoded(it)
	if err != nil {
		return nil, err
	}
	if meta, ok := obj["metadata"].(map[string]any); ok {
		delete(meta, "resourceVersion") // the header has it
	}
	text, err := yaml.Marshal(obj)
	if err != nil {
		return nil, err
	}
	lines := strings.SplitAfter(string(text), "\n")
	return lines[:len(lines)-1], nil // the text ends with a newline
}
