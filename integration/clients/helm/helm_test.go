// Package helm has Helm 3 and 4 install, change and remove charts.
package helm

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gantry/integration/clients/cluster"
	"gantry/integration/clients/session"
)

var plane *cluster.Cluster

func TestMain(m *testing.M) {
	cluster.Main(m, func() (stop func(), err error) {
		if plane, err = cluster.StartPlane(); err != nil {
			return nil, err
		}
		return plane.Stop, nil
	})
}

// TestSessions runs testdata/*.txt.
func TestSessions(t *testing.T) { runSessions(t, plane, "testdata") }

// TestCharts runs testdata/containers/*.txt on a node with containers. $IMAGE has the program operator only, $TESTPOD is as kubectl's $IMAGE, and $KINDS
// are those whose objects a removed chart may not leave.
func TestCharts(t *testing.T) {
	c, err := cluster.StartWhole()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	image, err := c.ScratchImage("operator")
	if err != nil {
		t.Fatal(err)
	}
	kinds := "crd,apiservice,mutatingwebhookconfiguration,validatingwebhookconfiguration,clusterrole,clusterrolebinding,role,rolebinding,sa,deployment,rs,pod,job,service," +
		"endpointslice,endpoints,ingressclass,ingress,pdb,cm,secret,lease"
	runSessions(t, c, "testdata/containers", "IMAGE="+image, "TESTPOD="+c.Image, "KINDS="+kinds)
}

// runSessions runs a folder's sessions with Helm 3, and with Helm 4 on server-side and on client-side apply. $APPLY and $ATOMIC are the flags of each.
func runSessions(t *testing.T, c *cluster.Cluster, folder string, env ...string) {
	files, err := filepath.Glob(folder + "/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no sessions", err)
	}
	charts, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range []struct{ name, program, apply, atomic string }{
		{"3", "helm3", "", "--atomic"},
		{"4/server-side", "helm4", "--server-side=true", "--rollback-on-failure"},
		{"4/client-side", "helm4", "--server-side=false", "--rollback-on-failure"},
	} {
		for _, file := range files {
			t.Run(h.name+"/"+strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
				bin := t.TempDir()
				for name, program := range map[string]string{"helm": cluster.Program(h.program), "kubectl": lookPath(t, "kubectl")} {
					if err := os.Symlink(program, filepath.Join(bin, name)); err != nil {
						t.Fatal(err)
					}
				}
				own := []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "KUBECONFIG=" + c.KubeconfigIn(t, c.Namespace(t)), "CHARTS=" + charts, "APPLY=" + h.apply, "ATOMIC=" + h.atomic}
				session.Run(t, file, append(own, env...)...)
				if t.Failed() {
					t.Logf("the end of gantry.log:\n%s", c.Log())
				}
			})
		}
	}
}

func lookPath(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
