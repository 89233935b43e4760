package stats

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	statsv1 "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

var update = flag.Bool("update", false, "write what comes out into testdata")

// The containers of the fixtures, whose files name them.
const (
	appID = "aaaaaaaaaaaaaaaa"
	logID = "bbbbbbbbbbbbbbbb"
	oneID = "cccccccccccccccc"
)

var started = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// fixturePods are the pods of every fixture: web has its own network, host has the node's.
func fixturePods() []Pod {
	return []Pod{
		{Namespace: "default", Name: "web", UID: "u1", Start: started, NetworkPID: 10, Containers: []Container{
			{Name: "log", ID: logID, PID: 12, Start: started}, {Name: "app", ID: appID, PID: 11, Start: started},
		}},
		{Namespace: "default", Name: "host", UID: "u2", Start: started, Containers: []Container{{Name: "one", ID: oneID, PID: 13, Start: started}}},
	}
}

// host writes the files of an archive, each after a line "-- path --", below a directory.
func host(t *testing.T, archive string) (root string) {
	t.Helper()
	root = t.TempDir()
	files, path := map[string]string{}, ""
	for line := range strings.Lines(archive) {
		if name, ok := strings.CutPrefix(line, "-- "); ok {
			path = strings.TrimSuffix(strings.TrimSpace(name), " --")
		} else if path != "" {
			files[path] += line
		}
	}
	for path, text := range files {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// fixture reads a file of testdata: the archive of a host, and the summary that is wanted of it.
func fixture(t *testing.T, path string) (archive, want string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	archive, want, _ = strings.Cut(string(text), wantLine)
	return archive, want
}

const wantLine = "-- want --\n"

func collectorOn(root string) *Collector {
	return New(Config{Node: "n1", Pods: fixturePods, Root: root, DataDir: root})
}

// withoutTimes removes the times of reading, which tests cannot know, and the disk of the test's machine.
func withoutTimes(s *statsv1.Summary) {
	of := func(c *statsv1.CPUStats, m *statsv1.MemoryStats, n *statsv1.NetworkStats) {
		if c != nil {
			c.Time = metav1.Time{}
		}
		if m != nil {
			m.Time = metav1.Time{}
		}
		if n != nil {
			n.Time = metav1.Time{}
		}
	}
	of(s.Node.CPU, s.Node.Memory, s.Node.Network)
	s.Node.Fs = nil
	for _, p := range s.Pods {
		of(p.CPU, p.Memory, p.Network)
		for _, c := range p.Containers {
			of(c.CPU, c.Memory, nil)
		}
	}
}

// Each file of testdata is a host with its /proc and control groups, and the summary that is read of it.
func TestSummary(t *testing.T) {
	fixtures, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(fixtures) == 0 {
		t.Fatal(fixtures, err)
	}
	for _, path := range fixtures {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, want := fixture(t, path)
			s, err := collectorOn(host(t, archive)).Summary(false)
			if err != nil {
				t.Fatal(err)
			}
			if fs := s.Node.Fs; fs == nil || *fs.CapacityBytes == 0 || *fs.CapacityBytes < *fs.UsedBytes {
				t.Errorf("the node's disk: %+v", fs)
			}
			withoutTimes(s)
			got, err := json.MarshalIndent(s, "", " ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			if *update {
				if err := os.WriteFile(path, []byte(archive+wantLine+string(got)), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(want, string(got)); d != "" {
				t.Errorf("summary (-want +got):\n%s", d)
			}
		})
	}
}

// The second reading has rates, and leaves out a container whose group has gone.
func TestRates(t *testing.T) {
	archive, _ := fixture(t, "testdata/v1.txtar")
	root := host(t, archive)
	synctest.Test(t, func(t *testing.T) {
		c := collectorOn(root)
		read := func() *statsv1.Summary {
			t.Helper()
			s, err := c.Summary(true)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		s := read()
		if n := s.Node; n.CPU.UsageNanoCores != nil || n.Network != nil || n.Fs != nil || s.Pods[1].Network != nil {
			t.Errorf("the first reading of little: %+v", n)
		}
		groups := filepath.Join(root, "sys/fs/cgroup")
		for file, text := range map[string]string{"cpuacct.usage": "6551829376425\n", "docker/" + appID + "/cpuacct.usage": "3000000000\n"} {
			if err := os.WriteFile(filepath.Join(groups, "cpuacct", file), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []string{"cpuacct", "memory"} {
			if err := os.RemoveAll(filepath.Join(groups, c, "docker", logID)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Second)
		s = read()
		web := s.Pods[1]
		if len(web.Containers) != 1 || *web.Containers[0].CPU.UsageNanoCores != 200e6 || *web.CPU.UsageNanoCores != 200e6 || *s.Node.CPU.UsageNanoCores != 1e9 {
			t.Errorf("after 10 s, in which app used 2 s and the node 10 s: %+v, node %+v", web, s.Node.CPU)
		}
	})
}

func TestHostWithoutControlGroups(t *testing.T) {
	_, err := collectorOn(host(t, "-- proc/self/mountinfo --\n31 23 0:28 / / rw - ext4 /dev/vda rw\n")).Summary(false)
	if err == nil || !strings.Contains(err.Error(), "no control groups of cpuacct are mounted") {
		t.Error(err)
	}
}

// The process of a container can be another's by the time that its groups are looked for, and can be in groups below the container's.
func TestGroupsOf(t *testing.T) {
	v2 := parseMountinfo("41 31 0:38 / /cg rw - cgroup2 cgroup2 rw\n")
	inside := parseMountinfo("41 31 0:38 /../../.. /cg rw - cgroup2 cgroup2 rw\n")
	mixed := parseMountinfo("35 31 0:32 / /m rw - cgroup cgroup rw,memory\n41 31 0:38 / /cg rw - cgroup2 cgroup2 rw\n33 31 0:30 /sub /a\\040b rw - cgroup cgroup rw,cpu,cpuacct\n")
	for _, tt := range []struct {
		name, text  string
		h           hierarchies
		cpu, memory string
	}{
		{"cgroupfs", "0::/docker/" + appID + "\n", v2, "/cg/docker/" + appID, "/cg/docker/" + appID},
		{"systemd", "0::/system.slice/docker-" + appID + ".scope\n", v2, "/cg/system.slice/docker-" + appID + ".scope", "/cg/system.slice/docker-" + appID + ".scope"},
		{"below", "0::/docker/" + appID + "/init.scope/x\n", v2, "/cg/docker/" + appID, "/cg/docker/" + appID},
		{"another container's", "0::/docker/" + logID + "\n", v2, "", ""},
		{"the host's", "0::/init.scope\n", v2, "", ""},
		{"of a kubelet in a container", "0::/../../../docker/" + appID + "\n", inside, "/cg/docker/" + appID, "/cg/docker/" + appID},
		{"out of what is mounted", "0::/../docker/" + appID + "\n", v2, "", ""},
		{"two versions", "4:memory:/d/" + appID + "\n1:cpu,cpuacct:/sub/d/" + appID + "\n0::/u/" + appID + "\n", mixed, "/a b/d/" + appID, "/m/d/" + appID},
		{"not below what is mounted", "4:memory:/d/" + appID + "\n1:cpu,cpuacct:/d/" + appID + "\n", mixed, "", "/m/d/" + appID},
		{"no lines", "\n::\n0:\n:::::\n", v2, "", ""},
	} {
		dirs, err := tt.h.groupsOf(tt.text, appID)
		if dirs[cpu] != tt.cpu || dirs[memory] != tt.memory || (err == nil) != (tt.cpu+tt.memory != "") {
			t.Errorf("%s: %q %v", tt.name, dirs, err)
		}
	}
	if _, err := v2.groupsOf("0::/docker/"+appID, ""); err == nil {
		t.Error("a container without an ID has a group")
	}
}

// FuzzParse holds the parsers to not panicking, whatever a file contains.
func FuzzParse(f *testing.F) {
	f.Add([]byte("35 31 0:32 / /sys/\\04 rw - cgroup cgroup rw,memory\n"), []byte("4:memory:/docker/a\n0::/"), []byte("usage_usec 18446744073709551615\n"))
	f.Fuzz(func(t *testing.T, mounts, groups, values []byte) {
		h := parseMountinfo(string(mounts))
		if dirs, err := h.groupsOf(string(groups), "a"); err == nil {
			for c, dir := range dirs {
				if dir != "" && filepath.IsAbs(h[c].dir) && !strings.HasPrefix(dir, filepath.Clean(h[c].dir)) {
					t.Errorf("%q is not below %q", dir, h[c].dir)
				}
			}
		}
		var u Usage
		u.memoryV1(values, values)
		u.memoryV2(nil, values, values)
		microseconds(keyed(values, "usage_usec")[0])
		parseNetwork(values)
	})
}

// TestVolumes: what a pod's volumes use is read once a minute, and for pods that are there.
func TestVolumes(t *testing.T) {
	var read []string
	c := New(Config{Volumes: func(uid string) []statsv1.VolumeStats {
		read = append(read, uid)
		return []statsv1.VolumeStats{{Name: "data"}}
	}})
	summary := func(after time.Duration, uids ...string) {
		t.Helper()
		s := &statsv1.Summary{}
		for _, uid := range uids {
			s.Pods = append(s.Pods, statsv1.PodStats{PodRef: statsv1.PodReference{UID: uid}})
		}
		c.readVolumes(s, time.Unix(0, 0).Add(after))
		for _, p := range s.Pods {
			if len(p.VolumeStats) != 1 {
				t.Errorf("after %v: volumes of %s: %v", after, p.PodRef.UID, p.VolumeStats)
			}
		}
	}
	summary(0, "a", "b")
	summary(59*time.Second, "a")
	summary(time.Minute, "a", "b")
	if want := []string{"a", "b", "a", "b"}; !slices.Equal(read, want) {
		t.Errorf("read are the volumes of %v, want %v", read, want)
	}
}
