package admin

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/urfave/cli/v2"

	"gantry/agents/admin/explain"
	"gantry/agents/admin/snapshot"
	"gantry/agents/admin/trace"
	"gantry/registry"
)

// trace follows a name or an address to what a pod reaches by it.
func (cfg Config) trace(c *cli.Context, s *session) error {
	if c.NArg() != 1 {
		return errors.New("usage: gantry trace NAME | NAMESPACE/SERVICE | ADDRESS:PORT[/udp]")
	}
	if err := checkReportFormat(c); err != nil {
		return err
	}
	q, err := trace.Parse(c.Args().First())
	if err != nil {
		return err
	}
	o := trace.Options{Namespace: c.String("namespace"), Domain: c.String("cluster-domain"), Now: s.now}
	if text := c.String("cluster-dns"); text != "" {
		if o.DNS, err = netip.ParseAddr(text); err != nil {
			return fmt.Errorf("--cluster-dns: %w", err)
		}
	}
	state, err := snapshot.Read(s.ctx, s.store, s.kinds)
	if err != nil {
		return err
	}
	var report *explain.Report
	err = withCopy(s.ctx, state, func(ctx context.Context, r *registry.Registry) error {
		report = trace.Trace(ctx, state, r, cfg.Machine(c.String("data-dir")), o, q)
		return nil
	})
	if err != nil {
		return err
	}
	return s.printReport(c, report)
}
