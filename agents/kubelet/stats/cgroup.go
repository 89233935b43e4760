package stats

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// controller is what a control group counts.
type controller int

const (
	cpu controller = iota
	memory
	controllers // how many there are
)

// v1Name is a controller's name in version 1.
var v1Name = [controllers]string{cpu: "cpuacct", memory: "memory"}

// hierarchy is where the groups of a controller are mounted.
type hierarchy struct {
	v1   bool
	dir  string // the mount point
	root string // the group that is mounted there
}

// hierarchies are those of a host, by controller; dir is "" where there is none.
type hierarchies [controllers]hierarchy

// parseMountinfo finds the hierarchies in /proc/self/mountinfo (proc(5)):
//
//	35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
//	41 31 0:38 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw
//
// Where a controller has one of version 1 it is not in that of version 2, even if both are mounted.
func parseMountinfo(text string) (h hierarchies) {
	for line := range strings.Lines(text) {
		before, after, ok := strings.Cut(line, " - ")
		mount, fs := strings.Fields(before), strings.Fields(after)
		if !ok || len(mount) < 5 || len(fs) < 3 {
			continue
		}
		for c := range h {
			switch {
			case fs[0] == "cgroup" && hasWord(fs[2], v1Name[c]) && !h[c].v1:
				h[c] = hierarchy{true, unescape(mount[4]), unescape(mount[3])}
			case fs[0] == "cgroup2" && h[c].dir == "":
				h[c] = hierarchy{false, unescape(mount[4]), unescape(mount[3])}
			}
		}
	}
	return h
}

// unescape reads a path of mountinfo, which has a space as \040.
func unescape(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] == '\\' && i+3 < len(path) {
			if n, err := strconv.ParseUint(path[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(path[i])
	}
	return b.String()
}

// hasWord tells whether a list separated by commas has a word.
func hasWord(list, word string) bool {
	for one := range strings.SplitSeq(list, ",") {
		if one == word {
			return true
		}
	}
	return false
}

var errNoGroup = errors.New("no control group has the container's ID")

// groupsOf finds a container's groups in /proc/<pid>/cgroup (cgroups(7)) of a process of it, as directories by controller:
//
//	4:memory:/docker/<id>                     version 1
//	0::/system.slice/docker-<id>.scope/init   version 2
//
// Processes may be in groups below, which the container made itself. A process of another container is errNoGroup.
func (h hierarchies) groupsOf(text, id string) (dirs [controllers]string, err error) {
	for line := range strings.Lines(text) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for c := range h {
			if h[c].dir == "" || h[c].v1 != hasWord(parts[1], v1Name[c]) || !h[c].v1 && parts[0] != "0" {
				continue
			}
			if dir, ok := h[c].directory(parts[2], id); ok {
				dirs[c] = dir
			}
		}
	}
	if dirs == [controllers]string{} {
		return dirs, errNoGroup
	}
	return dirs, nil
}

// directory is that of the group on the path that is named by a container's ID; ok is false where none is.
func (h hierarchy) directory(path, id string) (dir string, ok bool) {
	end := strings.Index(path, id)
	if id == "" || end < 0 {
		return "", false
	}
	end += len(id)
	if rest := strings.IndexByte(path[end:], '/'); rest >= 0 {
		path = path[:end+rest]
	}
	below, ok := strings.CutPrefix(path, strings.TrimSuffix(h.root, "/"))
	if !ok || !filepath.IsLocal(strings.TrimPrefix(below, "/")) {
		return "", false // it is not below what is mounted here
	}
	return filepath.Join(h.dir, below), true
}

// files are the hierarchies of a host and where it has /proc.
type files struct {
	hierarchies
	proc string
}

// openFiles reads which hierarchies there are; root is put before every path, for tests.
func openFiles(root string) (f files, err error) {
	f.proc = filepath.Join(root, "/proc")
	text, err := os.ReadFile(filepath.Join(f.proc, "self/mountinfo"))
	if err != nil {
		return f, err
	}
	f.hierarchies = parseMountinfo(string(text))
	for c, h := range f.hierarchies {
		if h.dir == "" {
			return f, fmt.Errorf("no control groups of %s are mounted", v1Name[c])
		}
		f.hierarchies[c].dir = filepath.Join(root, h.dir)
	}
	return f, nil
}

// of finds the groups of a container by one of its processes.
func (f files) of(id string, pid int) ([controllers]string, error) {
	text, err := read(filepath.Join(f.proc, strconv.Itoa(pid), "cgroup"))
	if err != nil {
		return [controllers]string{}, err
	}
	return f.groupsOf(string(text), id)
}

// top are the groups of everything on the host, or of what is mounted.
func (f files) top() (dirs [controllers]string) {
	for c := range f.hierarchies {
		dirs[c] = f.hierarchies[c].dir
	}
	return dirs
}
