package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"
	"sigs.k8s.io/yaml"

	"gantry/registry"
	"gantry/registry/history"
)

// get prints an object as of a revision.
func get(c *cli.Context, s *session) error {
	o, err := s.object(c)
	if err != nil {
		return err
	}
	format := c.String("output")
	if format != "yaml" && format != "json" && format != "raw" {
		return fmt.Errorf("--output %q is none of yaml, json, raw", format)
	}
	v, err := s.at(o, c.Int64("rev"))
	if err != nil {
		return err
	}
	if format == "raw" {
		fmt.Fprintf(s.out, "%s\n", v.Value)
		return nil
	}
	it, err := registry.Read(s.kinds, o.key, v)
	if err != nil {
		fmt.Fprintf(s.out, "%s\n", v.Value)
		return fmt.Errorf("the value at %s, revision %d, cannot be read and is printed as it is stored: %w", o.key, v.Revision, err)
	}
	text, err := render(it.JSON, format)
	if err != nil {
		return err
	}
	_, err = s.out.Write(text)
	return err
}

// at returns the version of an object at a revision; 0: the newest.
func (s *session) at(o object, rev int64) (*history.Version, error) {
	kv, _, err := s.store.Get(s.ctx, o.key, rev)
	switch {
	case errors.Is(err, registry.Expired):
		oldest, err := history.Oldest(s.ctx, s.store)
		if err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("revision %d is compacted: the oldest that etcd still has is %d", rev, oldest)
	case err != nil && rev != 0:
		if now, nerr := s.store.Revision(s.ctx); nerr == nil && rev > now {
			return nil, fmt.Errorf("revision %d is in the future: etcd is at %d", rev, now)
		}
		return nil, err
	case err != nil:
		return nil, err
	case kv != nil:
		return &history.Version{Revision: kv.ModRevision, Value: kv.Value}, nil
	case rev != 0:
		return nil, fmt.Errorf("%s did not exist at revision %d", o, rev)
	}
	return nil, s.notFound(o)
}

// notFound is the error for an object that does not exist. It says when the object was deleted, where history has that.
func (s *session) notFound(o object) error {
	versions, err := history.Versions(s.ctx, s.store, o.key, 0)
	if err != nil {
		return err
	}
	if len(versions) == 0 {
		return fmt.Errorf("%s not found", o)
	}
	return fmt.Errorf("%s not found: it was deleted at revision %d (gantry log, gantry undo)", o, versions[len(versions)-1].Revision)
}

// render formats an object's JSON as yaml or indented json.
func render(data []byte, format string) ([]byte, error) {
	if format == "yaml" {
		return yaml.JSONToYAML(data)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, data, "", "    "); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}
