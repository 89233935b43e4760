// Package admin is the commands with which an admin looks at the cluster's history and repairs it: get, log, diff,
// undo, why, trace, what-if, quarantine, backup, restore. They work on etcd; no gateway need run, and no agent.
//
// # History
//
// etcd keeps every revision of every key until it is compacted (the embedded one keeps an hour or two). Each
// value that the registry writes ends in who wrote it, when, and which revision it replaced (history.Record), so history needs no
// key of its own; who deleted what is the history of /gantry/deleted. A change made with etcdctl has no such record, or a copied
// one that names another revision. Its WHO is then "by hand", and its WHEN is bounded by the revisions before and after it: "~" and a
// time where those are at most a minute apart, else "-".
//
// # Repair
//
// undo writes an earlier state by the registry's write path: admitted, validated, compared and swapped. It writes
// only values that can be read, and only over the revision that it has read.
//
// # Explanations
//
// why reads all of etcd at one revision and follows the chain from an object down to what is not as wanted; package explain. trace follows what a
// client of a Service reaches, over the name server, the kernel and Docker of the machine it runs on; package trace.
//
// # Trying a change
//
// what-if copies all of etcd at one revision into memory and lets the real scheduler and controllers work there; package whatif.
//
// # Backup
//
// A backup is etcd's own snapshot with its checksum. A restored etcd continues at a revision far above every
// earlier one, with all history compacted: a watch or list from an older revision ends with Expired (410), and the client lists again.
package admin

import (
	"context"

	"github.com/urfave/cli/v2"
	clientv3 "go.etcd.io/etcd/client/v3"

	"gantry/agents/admin/trace"
	"gantry/registry"
)

// Config is what the process provides to the commands.
type Config struct {
	// DataDir is the flag --data-dir.
	DataDir cli.Flag
	// Find returns how the etcd of a data directory is reached.
	Find func(dataDir string) (Etcd, error)
	// Machine returns what trace reads on this machine; dataDir is that of its gantry.
	Machine func(dataDir string) trace.Machine
	// Agents runs the scheduler and the controllers of workloads on a registry until ctx is done: see package whatif.
	Agents func(ctx context.Context, r *registry.Registry) error

	connect func(ctx context.Context, e Etcd) (client *clientv3.Client, done func(), err error) // nil: dial; tests set it
}

// Commands returns the commands. Their flags may follow their arguments: see FlagsFirst.
func Commands(cfg Config) []*cli.Command {
	etcd := append([]cli.Flag{cfg.DataDir}, etcdFlags()...)
	object := append([]cli.Flag{
		&cli.StringFlag{Name: "namespace", Aliases: []string{"n"}, Value: "default", Usage: "`namespace` of the object"},
	}, etcd...)
	add := func(base []cli.Flag, more ...cli.Flag) []cli.Flag { return append(more, base...) }
	run := func(f func(c *cli.Context, s *session) error) cli.ActionFunc {
		return func(c *cli.Context) error { return cfg.withSession(c, f) }
	}
	all := []*cli.Command{
		{
			Name: "get", Usage: "print an object as it is in etcd, or was at a revision", ArgsUsage: "KIND NAME",
			Flags: add(object, revFlag("rev", "print it as of this `revision`"), outputFlag()), Action: run(get),
		},
		{
			Name: "log", Usage: "print an object's history: when, who, what", ArgsUsage: "KIND NAME",
			Flags: add(object,
				&cli.IntFlag{Name: "limit", Value: 20, Usage: "print the newest `number` of revisions; 0: all"},
				&cli.BoolFlag{Name: "status", Usage: "print every change of the status, not a summary"}),
			Action: run(printLog),
		},
		{
			Name: "diff", Usage: "compare two revisions of an object", ArgsUsage: "KIND NAME",
			Flags: add(object,
				&cli.Int64SliceFlag{Name: "rev", Usage: "a `revision` to compare; given once: with the newest; not given: the last change"},
				&cli.DurationFlag{Name: "since", Usage: "compare the state this `long` ago with the newest"}),
			Action: run(diff),
		},
		{
			Name: "undo", Usage: "bring an object back to its last good revision", ArgsUsage: "KIND NAME | KEY",
			Description: "Without --rev: a value that cannot be read goes back to the last one that could, a deleted object comes back,\n" +
				"and of any other the last change is undone (changes of status do not count).\n" +
				"`gantry undo pods --vanished` puts all pods back that were deleted with etcdctl, with their uids and nodes: their containers run on.",
			Flags: add(object, revFlag("rev", "go back to this `revision`"), serviceRangeFlag(),
				&cli.BoolFlag{Name: "vanished", Usage: "of pods: put back those that were deleted past the API and still have a copy by node"},
				&cli.BoolFlag{Name: "dry-run", Usage: "do everything but store"}),
			Action: run(undo),
		},
		{
			Name: "why", Usage: "explain why an object is as it is, down to the first thing that is not as wanted", ArgsUsage: "KIND NAME",
			Description: "A pending pod: every node with its verdict and what would help. A running one: why it is there, and what keeps it from being ready.\n" +
				"One that is being deleted: who has to do what. Other kinds: the chain down to their pods. All is read from etcd; no agent need run.",
			Flags: add(object, reportFlag()), Action: run(why),
		},
		{
			Name: "trace", Usage: "follow what a pod reaches by a name or an address, down to the container", ArgsUsage: "NAME | NAMESPACE/SERVICE | ADDRESS:PORT[/udp]",
			Description: "From the name as a pod asks for it, over the name server's answer, the element in the kernel and the endpoint slices, to the pods,\n" +
				"what Docker says of their containers, and whether a socket listens. Each line names where it was read; what does not lead on says why.\n" +
				"Run it on the node of the client, as root. It needs no gateway and no agent.",
			Flags: append([]cli.Flag{
				&cli.StringFlag{Name: "namespace", Aliases: []string{"n"}, Value: "default", Usage: "`namespace` of the pod that asks"},
				&cli.StringFlag{Name: "cluster-domain", Value: "cluster.local", EnvVars: []string{"GANTRY_CLUSTER_DOMAIN"}, Usage: "`zone` of the names of Services and pods"},
				&cli.StringFlag{Name: "cluster-dns", EnvVars: []string{"GANTRY_CLUSTER_DNS"}, Usage: "`address` of the name server (default: that of the Service kube-system/kube-dns)"},
				reportFlag(),
			}, etcd...),
			Action: run(cfg.trace),
		},
		cfg.whatIf(etcd),
		{Name: "quarantine", Usage: "list the values in etcd that cannot be read, and how to repair them", Flags: etcd, Action: run(listQuarantine)},
		{Name: "backup", Usage: "save all of etcd to a file", ArgsUsage: "FILE", Flags: etcd, Action: run(backup)},
		{
			Name: "restore", Usage: "replace the embedded etcd of a data directory by a backup", ArgsUsage: "FILE",
			Description: "gantry must not run meanwhile. The old etcd directory is kept beside the new one.",
			Flags:       []cli.Flag{cfg.DataDir}, Action: restore,
		},
	}
	for _, c := range all {
		c.HideHelpCommand = true
	}
	return all
}
