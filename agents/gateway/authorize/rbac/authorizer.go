package rbac

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"

	"gantry/agents/gateway/authorize"
	"gantry/registry"
)

// Authorizer allows what the roles allow that users have by bindings. It decides nothing before Run has read them.
type Authorizer struct {
	reg        *registry.Registry
	log        *slog.Logger
	index      *index
	filled     chan struct{} // closed when the index has what there was at the beginning
	markFilled func()
}

// New makes an Authorizer by the roles and bindings of a registry. It starts nothing: see Run.
func New(reg *registry.Registry, log *slog.Logger) *Authorizer {
	z := &Authorizer{reg: reg, log: log, index: newIndex(), filled: make(chan struct{})}
	z.markFilled = sync.OnceFunc(func() { close(z.filled) })
	return z
}

// Authorize allows what one of the user's roles allows: those of the cluster, and those in the namespace that is asked about. The reason
// names the binding; where nothing allows it, the roles that are bound and do not exist.
func (z *Authorizer) Authorize(ctx context.Context, a authorize.Attributes) (authorize.Decision, string, error) {
	if err := z.wait(ctx); err != nil {
		return authorize.NoOpinion, "", err
	}
	var by *binding
	var missing []error
	z.index.visit(&a.User, a.Namespace, func(b *binding, rules *authorize.Rules) bool {
		switch {
		case rules == nil:
			missing = append(missing, b.missing())
		case rules.Allow(&a):
			by = b
			return false
		}
		return true
	})
	switch {
	case by != nil:
		return authorize.Allowed, "RBAC: allowed by " + by.describe(&a.User), nil
	case missing != nil:
		return authorize.NoOpinion, "RBAC: " + utilerrors.NewAggregate(missing).Error(), nil
	}
	return authorize.NoOpinion, "", nil
}

// Rules are those of the user's roles. The error names the roles that are bound and do not exist.
func (z *Authorizer) Rules(ctx context.Context, user authenticationv1.UserInfo, namespace string) (authorize.Rules, error) {
	if err := z.wait(ctx); err != nil {
		return authorize.Rules{Incomplete: true}, err
	}
	var all authorize.Rules
	var missing []error
	visited := map[*binding]bool{}
	z.index.visit(&user, namespace, func(b *binding, rules *authorize.Rules) bool {
		switch {
		case visited[b]:
		case rules == nil:
			missing = append(missing, b.missing())
		default:
			all.Resources = append(all.Resources, rules.Resources...)
			all.Paths = append(all.Paths, rules.Paths...)
		}
		visited[b] = true
		return true
	})
	if missing != nil {
		return all, utilerrors.NewAggregate(missing)
	}
	return all, nil
}

// startWait is how long a decision waits for the first state of roles and bindings.
const startWait = 3 * time.Second

var errNotFilled = errors.New("RBAC: roles and bindings have not been read yet")

// wait returns when the index is filled; an error where it is not in time.
func (z *Authorizer) wait(ctx context.Context) error {
	select {
	case <-z.filled:
		return nil
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	select {
	case <-z.filled:
		return nil
	case <-ctx.Done():
		return errNotFilled
	}
}
