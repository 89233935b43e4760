package admin

import (
	"os"
	"path/filepath"
	"testing"

	"gantry/agents/admin/whatif"
	"gantry/registry"
)

// load puts the objects of a file of testdata into etcd as they are, with their status.
func (r *fixture) load(name string) {
	r.t.Helper()
	file, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		r.t.Fatal(err)
	}
	defer file.Close()
	all, err := whatif.ReadManifests(r.reg.Kinds().Set(), file, "default")
	if err != nil {
		r.t.Fatal(err)
	}
	for _, m := range all {
		r.put(registry.Key(m.Kind, m.Namespace, m.Name), string(m.JSON))
	}
}

// TestWhatIfDrain has a node with pods of every sort: some move, one waits for the budget of its sort until another is ready, some
// find no node, one stays.
func TestWhatIfDrain(t *testing.T) {
	r := newFixture(t)
	r.load("whatif-cluster.yaml")
	before, err := r.store.Revision(r.ctx)
	if err != nil {
		t.Fatal(err)
	}
	r.gantry("what-if", "drain", "n1")
	r.gantry("what-if", "drain", "n2")
	r.gantry("what-if", "drain", "n9")
	r.gantry("what-if", "drain")
	r.golden("whatif-drain")
	if after, err := r.store.Revision(r.ctx); err != nil || after != before {
		t.Errorf("etcd was at revision %d, is at %d: %v", before, after, err)
	}
}

func TestWhatIfApply(t *testing.T) {
	r := newFixture(t)
	r.load("whatif-cluster.yaml")
	r.gantry("what-if", "apply", "-f", "testdata/whatif-change.yaml")
	r.gantry("what-if", "apply", "-f", "testdata/whatif-bad.yaml", "--output", "json")
	r.gantry("what-if", "apply", "-f", "testdata/nowhere.yaml")
	r.gantry("what-if", "apply")
	r.golden("whatif-apply")
}
