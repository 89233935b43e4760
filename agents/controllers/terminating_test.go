package controllers

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/schema/core"
)

// TestEndingNamespaceIsLookedAtAgain: a namespace may have been made anew under its name.
func TestEndingNamespaceIsLookedAtAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := start(t, nil)
		c.ready()
		e := &env{r: c.r, log: slog.New(slog.DiscardHandler)}
		c.apply(shop)
		c.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {namespace: shop, name: held, finalizers: [example.com/hold]}\n")
		if err := registry.For[*corev1.Namespace](c.r).Delete(c.ctx, "", "shop", registry.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		var seen error
		after, err := untilNamespaceEnds(func(ctx context.Context, _ string) (time.Duration, error) {
			seen = e.execute(ctx, []action{{do: create, kind: core.Secret, reason: "a test",
				obj: &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "s"}}}})
			return 0, seen
		})(c.ctx, "shop/s")
		if seen == nil || err != nil || after != endingRecheck {
			t.Errorf("the creation says %v; again after %s, %v", seen, after, err)
		}
	})
}
