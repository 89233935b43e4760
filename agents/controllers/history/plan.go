package history

import (
	"context"
	"errors"
	"time"

	"gantry/agents/controllers/controller"
	"gantry/schema"
)

// Plan is what is to be done for a set whose pods have revisions. Without the revision nothing else is done, as pods are labelled with it. Of
// the other parts a failure of one does not keep the next from being done.
type Plan struct {
	Revision, Pods, Status, History []controller.Action
	Events                          []*controller.Event // about what is not done, and about pods that have ended
}

// All are the actions of a plan in their order.
func (p Plan) All() (all []controller.Action) {
	for _, part := range [][]controller.Action{p.Revision, p.Pods, p.Status, p.History} {
		all = append(all, part...)
	}
	return all
}

// Execute executes a plan for an owner. failures are the keys in failed of the pods that the plan deletes because they have ended; collisions returns
// where the owner's status counts collisions of revisions' names.
func Execute[T schema.Object](ctx context.Context, e *controller.Env, o Owner, p Plan, failed *controller.FailedPods, failures []string, collisions func(T) **int32) error {
	if err := e.Execute(ctx, p.Revision); err != nil {
		return countCollision(ctx, e.Registry, o, p.Revision, err, collisions)
	}
	for _, ev := range p.Events {
		e.Record(ev)
	}
	for _, key := range failures {
		failed.Count(key, time.Now())
	}
	return errors.Join(e.Execute(ctx, p.Pods), e.Execute(ctx, p.Status), e.Execute(ctx, p.History))
}
