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

// TerminatingRecheck is after how long a key whose namespace is being deleted is reconciled again: a namespace of this name may have been
// created since.
const TerminatingRecheck = time.Minute

// IgnoreNamespaceTerminating is reconcile without the errors of NamespaceTerminating, which are no failure: the key is reconciled again
// after TerminatingRecheck.
func IgnoreNamespaceTerminating(reconcile loop.Reconcile) loop.Reconcile {
	return func(ctx context.Context, key string) (time.Duration, error) {
		after, err := reconcile(ctx, key)
		if NamespaceTerminating(err) {
			return TerminatingRecheck, nil
		}
		return after, err
	}
}
