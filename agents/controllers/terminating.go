package controllers

import (
	"context"
	"errors"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/internal/loop"
	"gantry/registry"
)

// namespaceEnds tells that an object could not be made because its namespace is being deleted: every repetition gets the same
// answer.
func namespaceEnds(err error) bool {
	var e *registry.Error
	return errors.As(err, &e) && slices.ContainsFunc(e.Causes, func(c metav1.StatusCause) bool { return c.Type == corev1.NamespaceTerminatingCause })
}

// endingRecheck is when a key whose namespace is being deleted is looked at again: the namespace may have been made anew since.
const endingRecheck = time.Minute

// untilNamespaceEnds is reconcile, but that the answer of namespaceEnds is the end of the work, not a failure.
func untilNamespaceEnds(reconcile loop.Reconcile) loop.Reconcile {
	return func(ctx context.Context, key string) (time.Duration, error) {
		after, err := reconcile(ctx, key)
		if namespaceEnds(err) {
			return endingRecheck, nil
		}
		return after, err
	}
}
