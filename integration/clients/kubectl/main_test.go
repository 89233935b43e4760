package kubectl

import (
	"os"
	"testing"

	"gantry/integration/clients/cluster"
)

// plane has no containers.
var plane *cluster.Cluster

func TestMain(m *testing.M) {
	cluster.Main(m, func() (stop func(), err error) {
		if plane, err = cluster.StartPlane(); err != nil {
			return nil, err
		}
		return plane.Stop, nil
	})
}

// program is the kubectl under test.
func program() string {
	if p := os.Getenv("KUBECTL"); p != "" {
		return p
	}
	return "kubectl"
}
