package admin

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"gantry/agents/admin/explain"
	"gantry/agents/admin/snapshot"
	"gantry/registry"
	"gantry/schema"
)

// why explains an object.
func why(c *cli.Context, s *session) error {
	o, err := s.object(c)
	if err != nil {
		return err
	}
	format := c.String("output")
	if format != "text" && format != "json" {
		return fmt.Errorf("--output %q is none of text, json", format)
	}
	state, err := snapshot.Read(s.ctx, s.store, s.kinds)
	if err != nil {
		return err
	}
	var report *explain.Report
	err = withCopy(s.ctx, state, func(_ context.Context, r *registry.Registry) error {
		report = explain.Explain(state, r, o.kind, o.namespace, o.name, s.now)
		return nil
	})
	switch {
	case err != nil:
		return err
	case report == nil:
		return s.notFound(o)
	case format == "json":
		text, err := report.JSON()
		if err != nil {
			return err
		}
		_, err = s.out.Write(text)
		return err
	}
	_, err = fmt.Fprint(s.out, report.Text())
	return err
}

// withCopy runs work with a registry over a copy of a snapshot in memory: what is read or written through it never reaches etcd.
func withCopy(ctx context.Context, state *snapshot.Snapshot, work func(ctx context.Context, r *registry.Registry) error) error {
	memory, err := state.Copy(ctx)
	if err != nil {
		return err
	}
	r := registry.New(registry.Config{Store: memory, Kinds: schema.NewKinds(state.Kinds), Agent: userName(), Log: discardLog()})
	return withBackground(ctx, r.Run, func(ctx context.Context) error { return work(ctx, r) })
}
