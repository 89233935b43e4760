// Package gitops has custom kinds in the shape of flux's and Argo CD's, and uses them with kubectl.
package gitops

import (
	"encoding/json"
	"os/exec"
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

// TestFlux uses flux's kinds.
func TestFlux(t *testing.T) { run(t, "testdata/flux.txt", "KINDS="+write(t, fluxKinds())) }

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
