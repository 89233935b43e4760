package controller_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controller"
	"gantry/agents/controllers/controllertest"
	"gantry/registry"
	"gantry/schema/core"
)

// TestEndingNamespaceIsLookedAtAgain: a namespace may have been made anew under its name.
func TestEndingNamespaceIsLookedAtAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := controllertest.Start(t, nil)
		c.Ready()
		e := &controller.Env{Registry: c.Registry, Log: slog.New(slog.DiscardHandler)}
		c.Apply(controllertest.Shop)
		c.Apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {namespace: shop, name: held, finalizers: [example.com/hold]}\n")
		if err := registry.For[*corev1.Namespace](c.Registry).Delete(c.Context, "", "shop", registry.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		var seen error
		after, err := controller.IgnoreNamespaceTerminating(func(ctx context.Context, _ string) (time.Duration, error) {
			seen = e.Execute(ctx, []controller.Action{{Do: controller.Create, Kind: core.Secret, Reason: "a test",
				Object: &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "s"}}}})
			return 0, seen
		})(c.Context, "shop/s")
		if seen == nil || err != nil || after != controller.TerminatingRecheck {
			t.Errorf("the creation says %v; again after %s, %v", seen, after, err)
		}
	})
}
