package controller

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

// NamespaceTerminating tells that an object could not be made because its namespace is being deleted: every repetition gets the same
// answer.
func NamespaceTerminating(err error) bool {
	var e *registry.Error
	return errors.As(err, &e) && slices.ContainsFunc(e.Causes, func(c metav1.StatusCause) bool { return c.Type == corev1.NamespaceTerminatingCause })
}

// TerminatingRecheck is when a key whose namespace is being deleted is looked at again: the namespace may have been made anew since.
const TerminatingRecheck = time.Minute

// IgnoreNamespaceTerminating is reconcile, but that the answer of namespaceEnds is the end of the work, not a failure.
func IgnoreNamespaceTerminating(reconcile loop.Reconcile) loop.Reconcile {
	return func(ctx context.Context, key string) (time.Duration, error) {
		after, err := reconcile(ctx, key)
		if NamespaceTerminating(err) {
			return TerminatingRecheck, nil
		}
		return after, err
	}
}
