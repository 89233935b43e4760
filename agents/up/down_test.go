package up

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestRemoveDataLeavesOtherFiles: what Gantry created goes, the data of local volumes too; what others put there stays.
func TestRemoveDataLeavesOtherFiles(t *testing.T) {
	dir := t.TempDir()
	ours := []string{"etcd/member", "node/pods", "volumes/pvc-1/file", "pki/ca.crt", "admin.conf/x", "lock/x"}
	for _, name := range append(ours, "mine/file") {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := removeData(dir); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != "mine" {
		t.Errorf("left: %v, %v", left, err)
	}
	if err := errors.Join(os.RemoveAll(filepath.Join(dir, "mine")), removeData(dir)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an empty data directory: %v", err)
	}
}
