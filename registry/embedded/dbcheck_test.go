package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckFiles checks that files that etcd would panic at, or not detect as damaged, are refused by name.
func TestCheckFiles(t *testing.T) {
	made := func(t *testing.T, keys int) (dir string) {
		dir = filepath.Join(t.TempDir(), "etcd")
		e, err := Open(Config{Dir: dir, NoSync: true, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		for n := range keys {
			if _, err := e.Client().Put(context.Background(), fmt.Sprintf("/k%d", n), strings.Repeat("x", 300*(n%30+1))); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	overwrite := func(t *testing.T, dir string, at int64, n int) {
		f, err := os.OpenFile(filepath.Join(dir, "member/snap/db"), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt([]byte(strings.Repeat("r", n)), at); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name string
		keys int
		harm func(t *testing.T, dir string)
		want string // "": no error
	}{
		{"whole", 2000, func(*testing.T, string) {}, ""},
		{"one of the first pages torn", 2000, func(t *testing.T, dir string) { overwrite(t, dir, 20, 100) }, ""},
		{"beginning overwritten", 2000, func(t *testing.T, dir string) { overwrite(t, dir, 0, 8<<10) }, "snap/db is corrupt: both of its first pages"},
		{"truncated", 2000, func(t *testing.T, dir string) {
			if err := os.Truncate(filepath.Join(dir, "member/snap/db"), 100<<10); err != nil {
				t.Fatal(err)
			}
		}, "snap/db is corrupt: it has 102400 bytes of "},
		{"middle overwritten", 2000, func(t *testing.T, dir string) { overwrite(t, dir, 64<<10, 256<<10) }, "snap/db is corrupt: page "},
		{"no log", 10, func(t *testing.T, dir string) { os.RemoveAll(filepath.Join(dir, "member/wal")) }, "a database and no log"},
		{"killed while it was made", 0, func(t *testing.T, dir string) { os.RemoveAll(filepath.Join(dir, "member/wal")) }, ""},
		{"nothing there", 0, func(t *testing.T, dir string) { os.RemoveAll(dir) }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := made(t, tt.keys)
			tt.harm(t, dir)
			err := checkFiles(dir)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), dir)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
