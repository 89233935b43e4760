// Package gitops has custom kinds in the shape of flux's and Argo CD's, and uses them with kubectl and with the flux command.
package gitops

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
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

// TestFlux uses flux's kinds with the flux command, which must be of a release's version: it reads that from the kinds' and controllers' labels.
func TestFlux(t *testing.T) {
	bin := t.TempDir()
	if err := os.Symlink(cluster.Program("flux"), filepath.Join(bin, "flux")); err != nil {
		t.Fatal(err)
	}
	run(t, "testdata/flux.txt", "KINDS="+write(t, fluxKinds()), "PATH="+bin+":"+os.Getenv("PATH"))
}

// TestArgoCD uses Argo CD's kinds.
func TestArgoCD(t *testing.T) {
	kinds := argocdKinds()
	if text, err := json.Marshal(kinds[1].crd()); err != nil || len(text) <= 256<<10 {
		t.Errorf("the kind of ApplicationSets has %d bytes: %v", len(text), err)
	}
	run(t, "testdata/argocd.txt", "KINDS="+write(t, kinds))
}

func run(t *testing.T, file string, env ...string) {
	t.Helper()
	if _, err := exec.LookPath("kubectl"); err != nil {
		t.Fatal(err)
	}
	session.Run(t, file, append(env, "KUBECONFIG="+plane.KubeconfigIn(t, plane.Namespace(t)))...)
	if t.Failed() {
		t.Logf("the end of gantry.log:\n%s", plane.Log())
	}
}
