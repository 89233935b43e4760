package customkinds

import (
	"context"
	_ "embed"
	"os"
	"testing"

	"gantry/agents/controllers"
	"gantry/agents/controllers/controllertest"
	"gantry/agents/gateway/gatewaytest"
	"gantry/registry/leaktest"
)

func TestMain(m *testing.M) { os.Exit(leaktest.Run(m)) }

//go:embed testdata/widgets.yaml
var widgets string

//go:embed testdata/endpoints.yaml
var endpoints string

// start runs a gateway and the controllers that custom kinds need.
func start(t *testing.T) *gatewaytest.Cluster {
	t.Helper()
	c := gatewaytest.New(t)
	cfg := controllertest.Config(t, c.Registry)
	cfg.Controllers = []string{"customresourcedefinition", "apiserviceregistration", "garbage", "namespace"}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- controllers.Run(ctx, cfg) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("controllers ended with %v", err)
		}
	})
	return c
}
