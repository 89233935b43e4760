package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/admin/explain"
	"gantry/agents/admin/snapshot"
	"gantry/agents/admin/whatif"
	"gantry/agents/internal/addressrange"
	"gantry/registry"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/core"
)

// whatIf is the command what-if; base are the flags of its subcommands.
func (cfg Config) whatIf(base []cli.Flag) *cli.Command {
	run := func(f func(c *cli.Context, s *session) error) cli.ActionFunc {
		return func(c *cli.Context) error { return cfg.withSession(c, f) }
	}
	flags := append([]cli.Flag{reportFlag(), serviceRangeFlag()}, base...)
	return &cli.Command{
		Name: "what-if", Usage: "try a change on a copy of the cluster in memory and print what would come of it: drain NODE, apply -f FILE",
		Description: "The real scheduler and the real controllers of workloads run on the copy; nodes are played: pods get ready at once. Nothing is written.",
		Subcommands: []*cli.Command{
			{
				Name: "drain", Usage: "which pods of a node could be evicted, and where they would go", ArgsUsage: "NODE", Flags: flags, HideHelpCommand: true,
				Action: run(func(c *cli.Context, s *session) error { return cfg.drain(c, s) }),
			},
			{
				Name: "apply", Usage: "what kubectl apply --server-side --force-conflicts would change, and where pods would go", ArgsUsage: "-f FILE", HideHelpCommand: true,
				Flags: append([]cli.Flag{
					&cli.StringSliceFlag{Name: "filename", Aliases: []string{"f"}, Usage: "a `file` or directory of YAML or JSON, - for standard input; may be given several times"},
					&cli.StringFlag{Name: "namespace", Aliases: []string{"n"}, Value: "default", Usage: "`namespace` of objects that name none"},
				}, flags...),
				Action: run(func(c *cli.Context, s *session) error { return cfg.apply(c, s) }),
			},
		},
	}
}

// drain prints what came of draining a node of a copy.
func (cfg Config) drain(c *cli.Context, s *session) error {
	if c.NArg() != 1 {
		return errors.New("usage: gantry what-if drain NODE")
	}
	o := object{kind: core.Node, name: c.Args().First(), key: registry.Key(core.Node, "", c.Args().First())}
	return cfg.onCopy(c, s, func(ctx context.Context, copy *whatif.Cluster) ([]explain.Line, error) {
		lines, err := whatif.Drain(ctx, copy, o.name)
		if errors.Is(err, registry.NotFound) {
			err = s.notFound(o)
		}
		return lines, err
	})
}

// apply prints what came of applying files to a copy.
func (cfg Config) apply(c *cli.Context, s *session) error {
	if c.NArg() > 0 || len(c.StringSlice("filename")) == 0 {
		return errors.New("usage: gantry what-if apply -f FILE")
	}
	var all []*whatif.Manifest
	for _, name := range c.StringSlice("filename") {
		manifests, err := readManifests(s.kinds, name, c.String("namespace"))
		if err != nil {
			return err
		}
		all = append(all, manifests...)
	}
	if len(all) == 0 {
		return errors.New("--filename: no objects")
	}
	return cfg.onCopy(c, s, func(ctx context.Context, copy *whatif.Cluster) ([]explain.Line, error) {
		outcomes, pods, err := whatif.Apply(ctx, copy, all)
		if err != nil {
			return nil, err
		}
		var lines []explain.Line
		for _, o := range outcomes {
			lines = append(lines, outcomeLines(&o)...)
		}
		return append(lines, pods...), nil
	})
}

// onCopy runs work on a copy of the cluster and prints its lines as a report.
func (cfg Config) onCopy(c *cli.Context, s *session, work func(context.Context, *whatif.Cluster) ([]explain.Line, error)) error {
	if err := checkReportFormat(c); err != nil {
		return err
	}
	services, err := addressrange.ParseFamilies(c.String("service-cluster-ip-range"))
	if err != nil {
		return fmt.Errorf("--service-cluster-ip-range: %w", err)
	}
	state, err := snapshot.Read(s.ctx, s.store, s.kinds)
	if err != nil {
		return err
	}
	copyOf := func(memory store.Store) *registry.Registry {
		return registry.New(registry.Config{Store: memory, Kinds: schema.NewKinds(state.Kinds), ServiceCIDRs: services, Agent: userName(), Log: discardLog()})
	}
	report := &explain.Report{Revision: state.Revision}
	err = whatif.Run(s.ctx, whatif.Config{State: state, Registry: copyOf, Agents: cfg.Agents, Now: s.now}, func(ctx context.Context, copy *whatif.Cluster) (err error) {
		report.Lines, err = work(ctx, copy)
		return err
	})
	if err != nil {
		return err
	}
	return s.printReport(c, report)
}

// readManifests reads a file, the files of a directory, or standard input.
func readManifests(kinds *schema.Set, name, namespace string) ([]*whatif.Manifest, error) {
	if name == "-" {
		return whatif.ReadManifests(kinds, os.Stdin, namespace)
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("--filename: %w", err)
	}
	files := []string{name}
	if info.IsDir() {
		files = nil
		for _, pattern := range []string{"*.yaml", "*.yml", "*.json"} {
			found, err := filepath.Glob(filepath.Join(name, pattern))
			if err != nil {
				return nil, err
			}
			files = append(files, found...)
		}
		slices.Sort(files)
	}
	var all []*whatif.Manifest
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("--filename: %w", err)
		}
		manifests, err := whatif.ReadManifests(kinds, io.LimitReader(f, maxManifests), namespace)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, manifests...)
	}
	return all, nil
}

// maxManifests bounds a file of manifests, in bytes.
const maxManifests = 64 << 20

// outcomeLines is what applying a manifest changed. Values of Secrets are not shown.
func outcomeLines(o *whatif.Outcome) []explain.Line {
	head := explain.Line{Wanted: o.Err == nil}
	var below []explain.Line
	for _, text := range o.Warnings {
		below = append(below, explain.Line{Depth: 1, Text: "warning: " + text})
	}
	switch {
	case o.Err != nil:
		head.Text = o.Manifest.Title() + " is refused: " + strings.TrimPrefix(o.Err.Error(), o.Manifest.Title()+" ")
	case o.Old == nil:
		head.Text = o.Manifest.Title() + " is created"
	default:
		all, err := desiredChanges(o.Old, o.New)
		if err != nil {
			head.Text, head.Wanted = fmt.Sprintf("%s cannot be read: %v", o.Manifest.Title(), err), false
			break
		}
		head.Text = o.Manifest.Title() + " is changed"
		if len(all) == 0 {
			head.Text = o.Manifest.Title() + " stays as it is"
		}
		for _, c := range all {
			if o.Manifest.Kind == core.Secret {
				c = c.masked()
			}
			below = append(below, explain.Line{Depth: 1, Wanted: true, Text: c.String()})
		}
	}
	return append([]explain.Line{head}, below...)
}

// desiredChanges are the changes between two states of an object without those of the status and of kubectl's own record.
func desiredChanges(old, new *registry.Item) ([]change, error) {
	a, err := decoded(old)
	if err != nil {
		return nil, err
	}
	b, err := decoded(new)
	if err != nil {
		return nil, err
	}
	desired, _ := splitStatus(changes("", a, b))
	return slices.DeleteFunc(desired, func(c change) bool {
		return c.path == fmt.Sprintf("metadata.annotations[%q]", corev1.LastAppliedConfigAnnotation)
	}), nil
}
