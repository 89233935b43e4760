package admin

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"gantry/registry/quarantine"
)

// listQuarantine lists the values that cannot be read.
func listQuarantine(c *cli.Context, s *session) error {
	if c.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", c.Args().First())
	}
	bad, err := quarantine.List(s.ctx, s.store)
	if err != nil {
		return err
	}
	if len(bad) == 0 {
		fmt.Fprintln(s.notes, "Every value in etcd can be read.")
		return nil
	}
	w := tabwriter.NewWriter(s.out, 0, 8, 3, ' ', 0)
	fmt.Fprintln(w, "KEY\tREVISION\tSINCE\tLAST GOOD\tERROR")
	withoutGood := false
	for _, b := range bad {
		good := "-"
		if b.LastGood != 0 {
			good = fmt.Sprint(b.LastGood)
		}
		withoutGood = withoutGood || b.LastGood == 0
		since := "-"
		if !b.Time.IsZero() {
			since = s.now.Sub(b.Time).Truncate(time.Second).String()
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\n", b.Key, b.Revision, since, good, b.Error)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(s.notes, "\nBack to the last good revision:  gantry undo %s\nShow the stored value:           gantry get %s -o raw\n", bad[0].Key, bad[0].Key)
	if withoutGood {
		fmt.Fprintln(s.notes, "Delete a value without one:      gantry etcdctl del KEY")
	}
	return nil
}
