//go:build faults

package faults

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Case 13: etcd's directory is put back to an earlier state, as from a backup of the file system: revisions that gateways
// and agents have seen come again with other contents. In the second case etcd has passed those revisions before they reconnect.
func TestRestoredFromBackup(t *testing.T) {
	for name, later := range map[string]int{"behind what was seen": 0, "beyond what was seen": 400} {
		t.Run(name, func(t *testing.T) {
			e := startEtcd(t, 1)
			p := startPlane(t, "p", e.urls())
			startNode(t, p, e, "n1")
			deploy(t, p, "web", 5)
			p.ok("POST", maps, configMap("old", "1"))
			settled(t, e)
			m := e.members[0]
			backup := m.dir + ".backup"
			m.restart(syscall.SIGTERM, func() { copyDir(t, m.dir, backup) })
			e.await()
			eventually(t, "the gateway is back", seconds(20), func() (bool, string) {
				a, err := p.ask("PUT", maps+"/old", configMap("old", "2"), seconds(3))
				return err == nil && a.code == 200, fmt.Sprint(a, err)
			})
			for n := range 50 {
				p.ok("POST", maps, configMap(fmt.Sprintf("lost%d", n), "1"))
			}
			p.ok("PATCH", deployments+"/web", `{"spec":{"replicas":8}}`, "Content-Type", "application/merge-patch+json")
			awaitPods(t, p, "web", 8)
			i, stop := p.follow(maps)
			defer stop()
			p.signal(syscall.SIGSTOP) // so that the plane reconnects only after the test has changed etcd
			m.restart(syscall.SIGTERM, func() {
				must(t, os.RemoveAll(m.dir))
				copyDir(t, backup, m.dir)
			})
			e.await()
			for n := range later {
				e.put("/elsewhere", fmt.Sprint(n))
			}
			p.signal(syscall.SIGCONT)
			took := eventually(t, "the gateway serves what is there", seconds(30), func() (bool, string) {
				a, err := p.ask("GET", maps, "", seconds(3))
				if err != nil || a.code != 200 {
					return false, fmt.Sprint(a, err)
				}
				l := parse[objects](t, a.body)
				return !strings.Contains(names(l), "lost"), names(l)
			})
			t.Logf("the restored state was served after %s", took.Round(time.Millisecond))
			if a := p.do("GET", maps+"/old", ""); countOf(a.body) != 1 {
				t.Errorf("a restored object: %s", a)
			}
			p.ok("PUT", maps+"/old", configMap("old", "3"))
			p.ok("POST", maps, configMap("new", "1"))
			t.Logf("the Deployment, restored too, had its pods after %s", awaitPods(t, p, "web", 5).Round(time.Millisecond))
			i.check(t, e, "/registry/configmaps/default/")
			i.mu.Lock()
			defer i.mu.Unlock()
			if len(i.relists) == 0 {
				t.Errorf("a watcher got no 410; errors %v", i.errs)
			}
		})
	}
}

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("copying %s: %v\n%s", from, err, out)
	}
}

// Case 10: files of an embedded etcd that are not what etcd wrote. Gantry refuses to start on them and says which.
func TestCorruptFiles(t *testing.T) {
	for _, tt := range []struct {
		name string
		harm func(t *testing.T, dir string)
	}{
		{"database overwritten", func(t *testing.T, dir string) { overwrite(t, filepath.Join(dir, "etcd/member/snap/db"), 0, 64<<10) }},
		{"database truncated", func(t *testing.T, dir string) {
			must(t, os.Truncate(filepath.Join(dir, "etcd/member/snap/db"), 10000))
		}},
		{"a page overwritten", func(t *testing.T, dir string) {
			db := filepath.Join(dir, "etcd/member/snap/db")
			overwrite(t, db, rootPage(t, db)*pageSize, pageSize)
		}},
		{"log overwritten", func(t *testing.T, dir string) {
			wal, err := filepath.Glob(filepath.Join(dir, "etcd/member/wal/*.wal"))
			must(t, err)
			overwrite(t, wal[0], 4<<10, 512)
		}},
		{"log removed", func(t *testing.T, dir string) { must(t, os.RemoveAll(filepath.Join(dir, "etcd/member/wal"))) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := startPlane(t, "p", nil)
			for n := range 20 {
				p.ok("POST", maps, configMap(fmt.Sprintf("m%d", n), strings.Repeat("x", 4000)))
			}
			p.end(syscall.SIGTERM)
			tt.harm(t, p.dir)
			must(t, os.Truncate(p.dir+".log", 0))
			q := p.start("gantry ready", p.dir+".log", nil, gantry, p.flags...)
			select {
			case <-q.done:
				said := tail(p.dir+".log", 1<<20)
				t.Logf("exit code %d:\n%.1500s", q.cmd.ProcessState.ExitCode(), said)
				if code := q.cmd.ProcessState.ExitCode(); code != 78 || !contains(said, filepath.Join(p.dir, "etcd")) || strings.Contains(said, "goroutine ") {
					t.Errorf("exit code %d; want 78, the directory named and no stack", code)
				}
			case <-q.said:
				l := p.list(maps)
				t.Errorf("it started, and serves %d of 21 objects:\n%s", len(l.Items), tail(p.dir+".log", 2000))
			case <-time.After(waitTimeout):
				t.Errorf("neither ready nor ended:\n%s", tail(p.dir+".log", 2000))
			}
		})
	}
}

// pageSize is that of etcd's database, bbolt, here.
const pageSize = 4 << 10

// rootPage is the first page of the newest tree of a database: one that is in use. Its two meta pages, of which a
// later transaction's counts, have it 16 bytes, and the transaction 48 bytes, after a header of 16.
func rootPage(t *testing.T, db string) (root int64) {
	t.Helper()
	data, err := os.ReadFile(db)
	must(t, err)
	var newest uint64
	for _, meta := range [][]byte{data[16:], data[pageSize+16:]} {
		if tx := binary.LittleEndian.Uint64(meta[48:]); tx >= newest {
			newest, root = tx, int64(binary.LittleEndian.Uint64(meta[16:]))
		}
	}
	return root
}

func overwrite(t *testing.T, file string, at int64, n int) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	must(t, err)
	defer f.Close()
	_, err = f.WriteAt([]byte(strings.Repeat("rubbish.", n/8)), at)
	must(t, err)
}
