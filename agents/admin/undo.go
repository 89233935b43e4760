package admin

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/user"
	"slices"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"gantry/registry"
	"gantry/registry/history"
	"gantry/schema/kinds"
)

// undo brings an object back to an earlier state.
func undo(c *cli.Context, s *session) error {
	o, err := objectOf(c)
	if err != nil {
		return err
	}
	services, err := netip.ParsePrefix(c.String("service-cluster-ip-range"))
	if err != nil {
		return fmt.Errorf("--service-cluster-ip-range: %w", err)
	}
	v, why, err := s.earlier(o, c.Int64("rev"))
	if err != nil {
		return err
	}
	it, err := registry.Read(kinds.BuiltIn(), o.key, v)
	if err != nil {
		return fmt.Errorf("revision %d of %s cannot be brought back: %w", v.Revision, o, err)
	}
	before, err := s.store.Revision(s.ctx)
	if err != nil {
		return err
	}
	r := registry.New(registry.Config{Store: s.store, Kinds: kinds.New(), Agent: whoami() + " (gantry undo)", ServiceCIDR: services, Log: quiet()})
	var done *registry.Item
	err = under(s.ctx, r.Run, func(ctx context.Context) (err error) {
		done, err = r.PutBack(ctx, it, registry.WriteOptions{DryRun: c.Bool("dry-run")})
		return err
	})
	switch {
	case err != nil:
		return fmt.Errorf("bringing back revision %d of %s: %w", v.Revision, o, err)
	case c.Bool("dry-run"):
		fmt.Fprintf(s.out, "%s: %s; revision %d would come back (dry run)\n", o, why, v.Revision)
	case done.Revision <= before:
		fmt.Fprintf(s.out, "%s: %s; revision %d says nothing else than what stands: nothing written\n", o, why, v.Revision)
	default:
		fmt.Fprintf(s.out, "%s: %s; revision %d is back, as revision %d\n", o, why, v.Revision, done.Revision)
	}
	return nil
}

// earlier is the version to bring back, and why it.
func (s *session) earlier(o object, rev int64) (v *history.Version, why string, err error) {
	if rev != 0 {
		v, err := s.at(o, rev)
		return v, "as asked", err
	}
	versions, err := history.Versions(s.ctx, s.store, o.key, 0)
	if err != nil {
		return nil, "", err
	}
	if len(versions) == 0 {
		return nil, "", fmt.Errorf("%s not found, nor in the history that etcd still has", o)
	}
	now := versions[len(versions)-1]
	if now.Value == nil {
		v, err := choose(o, versions, func(it *registry.Item) bool { return it.Object().GetDeletionTimestamp() == nil })
		return v, fmt.Sprintf("deleted at revision %d", now.Revision), err
	}
	it, bad := registry.Read(kinds.BuiltIn(), o.key, now)
	if bad != nil {
		v, err := choose(o, versions, func(*registry.Item) bool { return true })
		return v, fmt.Sprintf("the value of revision %d cannot be read (%v)", now.Revision, bad), err
	}
	v, err = choose(o, versions, func(old *registry.Item) bool { return differs(old, it) })
	return v, fmt.Sprintf("undoing the last change, up to revision %d", now.Revision), err
}

// choose is the newest version that can be read and fits; where none fits, that can be read and is not the newest.
func choose(o object, versions []*history.Version, fits func(*registry.Item) bool) (*history.Version, error) {
	var second *history.Version
	now := versions[len(versions)-1]
	for _, v := range slices.Backward(versions) {
		if v.Value == nil {
			continue
		}
		it, err := registry.Read(kinds.BuiltIn(), o.key, v)
		if err != nil {
			continue
		}
		if fits(it) {
			return v, nil
		}
		if second == nil && now.Value == nil {
			second = v
		}
	}
	if second != nil {
		return second, nil
	}
	if _, err := registry.Read(kinds.BuiltIn(), o.key, now); now.Value != nil && err == nil {
		return nil, fmt.Errorf("etcd's history of %s, from revision %d on, has no state but the one that stands: nothing is changed", o, versions[0].Revision)
	}
	return nil, fmt.Errorf("etcd's history of %s, from revision %d on, has no value that can be read: nothing is changed "+
		"(gantry etcdctl del %s deletes what is there)", o, versions[0].Revision, o.key)
}

// whoami is the user who gave the command.
func whoami() string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return fmt.Sprintf("uid %d", os.Getuid())
}

// differs tells whether two states differ in more than what is observed.
func differs(old, new *registry.Item) bool {
	a, errA := decoded(old)
	b, errB := decoded(new)
	if errA != nil || errB != nil {
		return true
	}
	wanted, _ := sorted(changes("", a, b))
	wanted = slices.DeleteFunc(wanted, func(c change) bool {
		return c.path == `metadata.annotations["deployment.kubernetes.io/revision"]`
	})
	return len(wanted) > 0
}

// under runs below while above runs.
func under(ctx context.Context, below, above func(context.Context) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return below(ctx) })
	g.Go(func() error {
		defer stop()
		return above(ctx)
	})
	return g.Wait()
}
