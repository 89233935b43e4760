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

// TestSessions runs testdata/*.txt with Helm 3, and with Helm 4 on server-side and on client-side apply. $APPLY and $ATOMIC are the flags of each.
func TestSessions(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
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
				session.Run(t, file, "PATH="+bin+":"+os.Getenv("PATH"), "KUBECONFIG="+plane.KubeconfigIn(t, plane.Namespace(t)), "CHARTS="+charts, "APPLY="+h.apply, "ATOMIC="+h.atomic)
				if t.Failed() {
					t.Logf("the end of gantry.log:\n%s", plane.Log())
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
