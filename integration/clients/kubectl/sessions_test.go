package kubectl

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gantry/integration/clients/cluster"
	"gantry/integration/clients/session"
)

// TestSessions runs testdata/objects/*.txt, each in a namespace of its own, against a control plane whose node runs no containers.
func TestSessions(t *testing.T) { runSessions(t, plane, "testdata/objects") }

func runSessions(t *testing.T, c *cluster.Cluster, folder string) {
	files, err := filepath.Glob(filepath.Join(folder, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatal("no sessions in", folder, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			session.Run(t, file, environment(t, c)...)
			if t.Failed() {
				t.Logf("the end of gantry.log:\n%s", c.Log())
			}
		})
	}
}

// environment names the kubectl under test as kubectl, and a kubeconfig whose namespace, $NS, is new.
func environment(t *testing.T, c *cluster.Cluster) []string {
	t.Helper()
	path, err := exec.LookPath(program())
	if err != nil {
		t.Fatal(err)
	}
	if path, err = filepath.Abs(path); err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(path, filepath.Join(bin, "kubectl")); err != nil {
		t.Fatal(err)
	}
	namespace := c.Namespace(t)
	return []string{
		"PATH=" + bin + ":" + os.Getenv("PATH"), "KUBECONFIG=" + c.KubeconfigIn(t, namespace), "NS=" + namespace, "NODE=" + c.Node, "IMAGE=" + c.Image,
	}
}
