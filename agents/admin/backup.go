package admin

import (
	"fmt"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"gantry/registry/embedded"
)

// backup saves etcd to a file.
func backup(c *cli.Context, s *session) error {
	if c.NArg() != 1 {
		return fmt.Errorf("usage: gantry backup FILE")
	}
	file := c.Args().First()
	b, err := embedded.Backup(s.ctx, s.client, file)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s: %d keys at revision %d, %d bytes\n", file, b.Keys, b.Revision, b.Bytes)
	fmt.Fprintln(s.notes, "It holds every Secret. Keep <data-dir>/pki with it: the cluster's keys and certificates are not in etcd.")
	return nil
}

// restore replaces the embedded etcd of a data directory.
func restore(c *cli.Context) error {
	if c.NArg() != 1 {
		return fmt.Errorf("usage: gantry restore FILE")
	}
	dir, err := filepath.Abs(c.String("data-dir"))
	if err != nil {
		return fmt.Errorf("--data-dir: %w", err)
	}
	b, err := embedded.Restore(c.Args().First(), filepath.Join(dir, "etcd"))
	if err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "restored %d keys of revision %d into %s, which continues at revision %d\n", b.Keys, b.Revision, b.Dir, b.Next)
	if b.Aside != "" {
		fmt.Fprintf(c.App.Writer, "the old etcd directory is kept in %s\n", b.Aside)
	}
	fmt.Fprintln(c.App.ErrWriter, "Start gantry again: every agent lists anew and reconciles what runs with the state of the backup.")
	return nil
}
