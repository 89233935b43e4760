package admin

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"slices"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"gantry/agents/internal/addressrange"
	"gantry/agents/internal/webhookclient"
	"gantry/registry"
	"gantry/registry/history"
	"gantry/schema"
)

// undo restores an earlier state of an object.
func undo(c *cli.Context, s *session) error {
	if c.Bool("vanished") {
		return undoVanished(c, s)
	}
	o, err := s.object(c)
	if err != nil {
		return err
	}
	services, err := addressrange.ParseFamilies(c.String("service-cluster-ip-range"))
	if err != nil {
		return fmt.Errorf("--service-cluster-ip-range: %w", err)
	}
	v, why, err := s.undoTarget(o, c.Int64("rev"))
	if err != nil {
		return err
	}
	it, err := registry.Read(s.kinds, o.key, v)
	if err != nil {
		return fmt.Errorf("revision %d of %s cannot be restored: %w", v.Revision, o, err)
	}
	before, err := s.store.Revision(s.ctx)
	if err != nil {
		return err
	}
	r := registry.New(registry.Config{Store: s.store, Kinds: schema.NewKinds(s.kinds), Agent: userName() + " (gantry undo)", ServiceCIDRs: services, Log: discardLog(), Webhooks: &webhookclient.Client{}})
	var done *registry.Item
	err = withBackground(s.ctx, r.Run, func(ctx context.Context) (err error) {
		done, err = r.PutBack(ctx, it, registry.WriteOptions{DryRun: c.Bool("dry-run")})
		return err
	})
	switch {
	case err != nil:
		return fmt.Errorf("restoring revision %d of %s: %w", v.Revision, o, err)
	case c.Bool("dry-run"):
		fmt.Fprintf(s.out, "%s: %s; revision %d would be restored (dry run)\n", o, why, v.Revision)
	case done.Revision <= before:
		fmt.Fprintf(s.out, "%s: %s; revision %d equals the current state: nothing written\n", o, why, v.Revision)
	default:
		fmt.Fprintf(s.out, "%s: %s; revision %d is restored, as revision %d\n", o, why, v.Revision, done.Revision)
	}
	return nil
}

// undoTarget returns the version to restore, and why that one.
func (s *session) undoTarget(o object, rev int64) (v *history.Version, why string, err error) {
	if rev != 0 {
		v, err := s.at(o, rev)
		return v, "--rev is given", err
	}
	versions, err := history.Versions(s.ctx, s.store, o.key, 0)
	if err != nil {
		return nil, "", err
	}
	if len(versions) == 0 {
		return nil, "", fmt.Errorf("%s not found, also not in etcd's history", o)
	}
	now := versions[len(versions)-1]
	if now.Value == nil {
		v, err := s.newestMatching(o, versions, func(it *registry.Item) bool { return it.Object().GetDeletionTimestamp() == nil })
		return v, fmt.Sprintf("deleted at revision %d", now.Revision), err
	}
	it, bad := registry.Read(s.kinds, o.key, now)
	if bad != nil {
		v, err := s.newestMatching(o, versions, func(*registry.Item) bool { return true })
		return v, fmt.Sprintf("the value of revision %d cannot be read (%v)", now.Revision, bad), err
	}
	v, err = s.newestMatching(o, versions, func(old *registry.Item) bool { return differInSpec(old, it) })
	return v, fmt.Sprintf("undoing the last change, up to revision %d", now.Revision), err
}

// newestMatching returns the newest version that can be read and matches. For a deleted object without a match it is the newest version
// that can be read.
func (s *session) newestMatching(o object, versions []*history.Version, matches func(*registry.Item) bool) (*history.Version, error) {
	var fallback *history.Version
	now := versions[len(versions)-1]
	for _, v := range slices.Backward(versions) {
		if v.Value == nil {
			continue
		}
		it, err := registry.Read(s.kinds, o.key, v)
		if err != nil {
			continue
		}
		if matches(it) {
			return v, nil
		}
		if fallback == nil && now.Value == nil {
			fallback = v
		}
	}
	if fallback != nil {
		return fallback, nil
	}
	if _, err := registry.Read(s.kinds, o.key, now); now.Value != nil && err == nil {
		return nil, fmt.Errorf("etcd's history of %s, from revision %d on, has no state other than the current one: nothing is changed", o, versions[0].Revision)
	}
	return nil, fmt.Errorf("etcd's history of %s, from revision %d on, has no value that can be read: nothing is changed "+
		"(gantry etcdctl del %s deletes what is there)", o, versions[0].Revision, o.key)
}

// userName is the name of the user who runs the command, also under sudo.
func userName() string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return fmt.Sprintf("uid %d", os.Getuid())
}

// differInSpec reports whether two states differ in more than their status. The Deployment controller's revision annotation counts as
// status.
func differInSpec(old, new *registry.Item) bool {
	a, errA := decoded(old)
	b, errB := decoded(new)
	if errA != nil || errB != nil {
		return true
	}
	desired, _ := splitStatus(changes("", a, b))
	desired = slices.DeleteFunc(desired, func(c change) bool {
		return c.path == `metadata.annotations["deployment.kubernetes.io/revision"]`
	})
	return len(desired) > 0
}

// withBackground runs work, with background beside it until work has returned. The first error of either is returned.
func withBackground(ctx context.Context, background, work func(context.Context) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return background(ctx) })
	g.Go(func() error {
		defer stop()
		return work(ctx)
	})
	return g.Wait()
}
