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
	if err := checkReportFormat(c); err != nil {
		return err
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
	}
	return s.printReport(c, report)
}

// reportFlag is --output of the commands that print a report.
func reportFlag() cli.Flag {
	return &cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: "text", Usage: "`format`: text or json"}
}

// checkReportFormat checks reportFlag.
func checkReportFormat(c *cli.Context) error {
	if format := c.String("output"); format != "text" && format != "json" {
		return fmt.Errorf("--output %q is none of text, json", format)
	}
	return nil
}

// printReport prints a report in the format of reportFlag.
func (s *session) printReport(c *cli.Context, report *explain.Report) error {
	text := []byte(report.Text())
	if c.String("output") == "json" {
		var err error
		if text, err = report.JSON(); err != nil {
			return err
		}
	}
	_, err := s.out.Write(text)
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
