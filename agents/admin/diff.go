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
	"gantry/schema/kinds"
)

// diff prints what differs between two revisions of an object, as a unified diff of its YAML.
func diff(c *cli.Context, s *session) error {
	o, err := objectOf(c)
	if err != nil {
		return err
	}
	old, new, err := s.pair(o, c.Int64Slice("rev"), c.Duration("since"))
	if err != nil {
		return err
	}
	text, err := unified(o, old, new)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(s.out, text)
	return err
}

// pair is the two versions to compare; nil: the object is not there.
func (s *session) pair(o object, revs []int64, since time.Duration) (old, new *history.Version, err error) {
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
		old, err = s.ago(versions, since)
	default:
		old = s.lastChange(o, versions)
	}
	return old, new, err
}

// lastChange is the version that undo would bring back; where there is none, the one before the newest.
func (s *session) lastChange(o object, versions []*history.Version) *history.Version {
	new := versions[len(versions)-1]
	if it, err := registry.Read(kinds.BuiltIn(), o.key, new); err == nil {
		if v, err := choose(o, versions, func(old *registry.Item) bool { return differs(old, it) }); err == nil {
			return v
		}
	}
	return new.Previous
}

// ago is the version that stood so long ago; nil: none did. Where history does not reach so far it is the oldest.
func (s *session) ago(versions []*history.Version, since time.Duration) (*history.Version, error) {
	then := s.now.Add(-since)
	for _, v := range slices.Backward(versions) {
		var at time.Time
		if v.By != nil {
			at = v.By.Time
		} else if after, before, err := s.between(v); err != nil {
			return nil, err
		} else if at = before; at.IsZero() {
			at = after
		}
		if !at.IsZero() && !at.After(then) {
			return v, nil
		}
		if v.First {
			fmt.Fprintf(s.notes, "History reaches back to revision %d only: what was before is compacted.\n", v.Revision)
			return v, nil
		}
	}
	return nil, nil
}

// unified is the difference of two versions; "": there is none.
func unified(o object, old, new *history.Version) (string, error) {
	a, err := lines(o, old)
	if err != nil {
		return "", err
	}
	b, err := lines(o, new)
	if err != nil {
		return "", err
	}
	return difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
		A: a, B: b, FromFile: label(o, old), ToFile: label(o, new), Context: 3,
	})
}

func label(o object, v *history.Version) string {
	if v == nil {
		return o.key + " (not there)"
	}
	if v.Value == nil {
		return fmt.Sprintf("%s (revision %d: deleted)", o.key, v.Revision)
	}
	return fmt.Sprintf("%s (revision %d)", o.key, v.Revision)
}

// lines is a version as lines of YAML, or as it is stored where it cannot be read.
func lines(o object, v *history.Version) ([]string, error) {
	if v == nil || v.Value == nil {
		return nil, nil
	}
	it, err := registry.Read(kinds.BuiltIn(), o.key, v)
	if err != nil {
		return difflib.SplitLines(string(v.Value)), nil
	}
	obj, err := decoded(it)
	if err != nil {
		return nil, err
	}
	if meta, ok := obj["metadata"].(map[string]any); ok {
		delete(meta, "resourceVersion") // the header says it
	}
	text, err := yaml.Marshal(obj)
	if err != nil {
		return nil, err
	}
	lines := strings.SplitAfter(string(text), "\n")
	return lines[:len(lines)-1], nil // the text ends in a line's end
}
