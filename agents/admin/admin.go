// Package admin is the commands with which an admin looks at the cluster's history and repairs it: get, log, diff,
// undo, quarantine, backup, restore. They work on etcd alone; no gateway need run, and no agent.
//
// # History
//
// etcd keeps every revision of every key until it is compacted (the embedded one keeps an hour or two). Each
// value that the registry writes ends in who wrote it, when, and which revision it replaced (history.Record), so history needs no
// key of its own; who deleted what is the history of /gantry/deleted. A change made past the registry, with
// etcdctl, has no such stamp, or a copied one that names another revision: its WHO is "by hand", and its time is told by its
// neighbours, "~" and within a minute, or "-".
//
// # Repair
//
// undo writes an earlier state by the registry's one write path: admitted, validated, compared and swapped. It
// never writes a value that could not be read, nor over a change it has not seen.
//
// # Backup
//
// A backup is etcd's own snapshot with its checksum. A restored etcd goes on far above every revision that was ever
// handed out, with all history compacted: whoever goes on from an old revision is told that it expired, and lists again.
package admin

import (
	"context"

	"github.com/urfave/cli/v2"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Config is what the commands need of the process around them.
type Config struct {
	// DataDir is the flag --data-dir.
	DataDir cli.Flag
	// Find tells how the etcd of a data directory is reached.
	Find func(dataDir string) (Etcd, error)

	connect func(ctx context.Context, e Etcd) (client *clientv3.Client, done func(), err error) // nil: dial
}

// Commands are the rows of the commands. Their flags may follow their arguments: see FlagsFirst.
func Commands(cfg Config) []*cli.Command {
	etcd := append([]cli.Flag{cfg.DataDir}, etcdFlags()...)
	object := append([]cli.Flag{
		&cli.StringFlag{Name: "namespace", Aliases: []string{"n"}, Value: "default", Usage: "`namespace` of the object"},
	}, etcd...)
	with := func(base []cli.Flag, more ...cli.Flag) []cli.Flag { return append(more, base...) }
	run := func(f func(c *cli.Context, s *session) error) cli.ActionFunc {
		return func(c *cli.Context) error { return cfg.over(c, f) }
	}
	all := []*cli.Command{
		{
			Name: "get", Usage: "print an object as it is in etcd, or was at a revision", ArgsUsage: "KIND NAME",
			Flags: with(object, revFlag("rev", "print it as of this `revision`"), outputFlag()), Action: run(get),
		},
		{
			Name: "log", Usage: "print an object's history: when, who, what", ArgsUsage: "KIND NAME",
			Flags: with(object,
				&cli.IntFlag{Name: "limit", Value: 20, Usage: "print the newest `number` of revisions; 0: all"},
				&cli.BoolFlag{Name: "status", Usage: "print every change of the status, not a summary"}),
			Action: run(printLog),
		},
		{
			Name: "diff", Usage: "compare two revisions of an object", ArgsUsage: "KIND NAME",
			Flags: with(object,
				&cli.Int64SliceFlag{Name: "rev", Usage: "a `revision` to compare; given once: with the newest; not given: the last change"},
				&cli.DurationFlag{Name: "since", Usage: "compare the state this `long` ago with the newest"}),
			Action: run(diff),
		},
		{
			Name: "undo", Usage: "bring an object back to its last good revision", ArgsUsage: "KIND NAME | KEY",
			Description: "Without --rev: a value that cannot be read goes back to the last one that could, a deleted object comes back,\n" +
				"and of any other the last change is undone (changes of status do not count).",
			Flags: with(object, revFlag("rev", "go back to this `revision`"), serviceRangeFlag(),
				&cli.BoolFlag{Name: "dry-run", Usage: "do everything but store"}),
			Action: run(undo),
		},
		{Name: "quarantine", Usage: "list the values in etcd that cannot be read, and how to mend them", Flags: etcd, Action: run(listQuarantine)},
		{Name: "backup", Usage: "save all of etcd to a file", ArgsUsage: "FILE", Flags: etcd, Action: run(backup)},
		{
			Name: "restore", Usage: "replace the embedded etcd of a data directory by a backup", ArgsUsage: "FILE",
			Description: "gantry must not run meanwhile. The etcd that was there is kept beside the new one.",
			Flags:       []cli.Flag{cfg.DataDir}, Action: restore,
		},
	}
	for _, c := range all {
		c.HideHelpCommand = true
	}
	return all
}

func revFlag(name, usage string) cli.Flag { return &cli.Int64Flag{Name: name, Usage: usage} }

func outputFlag() cli.Flag {
	return &cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: "yaml", Usage: "`format`: yaml, json, or raw (as stored)"}
}

func serviceRangeFlag() cli.Flag {
	return &cli.StringFlag{
		Name: "service-cluster-ip-range", Value: "10.96.0.0/16", EnvVars: []string{"GANTRY_SERVICE_CLUSTER_IP_RANGE"},
		Usage: "`range` of Service addresses, as the gateway was given it",
	}
}
