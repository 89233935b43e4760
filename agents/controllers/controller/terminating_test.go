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

// A creation in a namespace being deleted is no failure, and is tried again later: a namespace of that name may have been created since.
func TestTerminatingNamespaceIsRechecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := controllertest.Start(t, nil)
		c.Ready()
		row := &controller.Controller{Name: "test", Writes: controller.Only(core.Secret)}
		e := &controller.Env{Registry: controller.Restrict(c.Registry, row, nil, func(err error) { t.Error(err) }), Log: slog.New(slog.DiscardHandler)}
		c.Apply(controllertest.Shop)
		c.Apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {namespace: shop, name: held, finalizers: [example.com/hold]}\n")
		if err := registry.For[*corev1.Namespace](c.Registry).Delete(c.Context, "", "shop", registry.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		var refused error
		after, err := controller.IgnoreNamespaceTerminating(func(ctx context.Context, _ string) (time.Duration, error) {
			refused = e.Execute(ctx, []controller.Action{{Do: controller.Create, Kind: core.Secret, Reason: "a test",
				Object: &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "s"}}}})
			return 0, refused
		})(c.Context, "shop/s")
		if refused == nil || err != nil || after != controller.TerminatingRecheck {
			t.Errorf("the creation says %v; again after %s, %v", refused, after, err)
		}
	})
}
