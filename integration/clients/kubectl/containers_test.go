package kubectl

import (
	"testing"

	"gantry/integration/clients/cluster"
)

// TestContainers runs testdata/containers/*.txt on a node with containers. $IMAGE has busybox as a shell, and testpod.
func TestContainers(t *testing.T) {
	c, err := cluster.StartWhole()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	runSessions(t, c, "testdata/containers")
}
