package stats

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	statsv1 "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"gantry/agents/internal/usagerate"
)

// Pod is a pod of the node of which something runs.
type Pod struct {
	Namespace, Name, UID string
	Start                time.Time
	// NetworkPID is a process in the pod's network namespace; 0: it has none, or the node's.
	NetworkPID int
	Containers []Container // those that run
}

// Container is one that runs.
type Container struct {
	Name, ID string
	PID      int // its first process
	Start    time.Time
}

// Config is what a Collector needs.
type Config struct {
	Node string
	// Pods returns the node's pods.
	Pods func() []Pod
	// Volumes returns what the mounted volumes of a pod use; nil: nothing is told of volumes. Its result is kept for a minute.
	Volumes func(podUID string) []statsv1.VolumeStats
	// DataDir is a directory of the file system that pods' files are in.
	DataDir string
	// Root is put before every path that is read; for tests.
	Root string
}

// Collector reads what the node uses. Safe for concurrent use.
type Collector struct {
	cfg Config

	mu      sync.Mutex // guards what follows
	files   *files     // nil: not found yet
	groups  map[string][controllers]string
	history usagerate.History[string] // of CPU time, by the container's ID; "" is the node
	volumes map[string]volumes        // by the pod's uid
}

// New returns a Collector. Nothing is read yet.
func New(cfg Config) *Collector { return &Collector{cfg: cfg} }

// Summary reads what the node and its pods use now; with little only CPU and memory. A container whose group is gone is left out. Rates are
// there when somebody asked before, within the last minute.
func (c *Collector) Summary(little bool) (*statsv1.Summary, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.files == nil {
		f, err := openFiles(c.cfg.Root)
		if err != nil {
			return nil, fmt.Errorf("finding the control groups: %w", err)
		}
		c.files = &f
	}
	now := time.Now()
	r := reading{files: *c.files, before: c.groups, groups: map[string][controllers]string{}, points: map[string]usagerate.Point{}, little: little}
	s := r.summary(c.cfg, now)
	c.groups = r.groups
	if !little {
		c.readVolumes(s, now)
	}
	r.addRates(s, c.history.Add(now, r.points))
	return s, nil
}

// reading is one reading of everything.
type reading struct {
	files
	before, groups map[string][controllers]string // by the container's ID: what was known before, and what is in use now
	points         map[string]usagerate.Point
	rated          []rated
	little         bool
}

// rated is a CPU time that gets its rate.
type rated struct {
	key   string
	start time.Time
	to    *statsv1.CPUStats
}

func (r *reading) summary(cfg Config, now time.Time) *statsv1.Summary {
	s := &statsv1.Summary{Node: r.node(cfg, now), Pods: []statsv1.PodStats{}}
	for _, p := range cfg.Pods() {
		s.Pods = append(s.Pods, r.pod(p, now))
	}
	slices.SortFunc(s.Pods, func(a, b statsv1.PodStats) int {
		return cmp.Or(cmp.Compare(a.PodRef.Namespace, b.PodRef.Namespace), cmp.Compare(a.PodRef.Name, b.PodRef.Name), cmp.Compare(a.PodRef.UID, b.PodRef.UID))
	})
	return s
}

func (r *reading) node(cfg Config, now time.Time) statsv1.NodeStats {
	n := statsv1.NodeStats{NodeName: cfg.Node}
	stat, _ := read(filepath.Join(r.proc, "stat"))
	if boot := keyed(stat, "btime")[0]; boot != nil {
		n.StartTime = metav1.Unix(int64(*boot), 0)
	}
	u := r.usage(r.top())
	if total := r.totalMemory(); total != nil && (u.MemoryLimit == nil || *u.MemoryLimit > *total) {
		u.MemoryLimit = total
	}
	n.CPU, n.Memory = r.cpu("", u, time.Time{}), memoryStats(u)
	if r.little {
		return n
	}
	n.Network = r.network("self", now)
	n.Fs = fileSystem(cfg.DataDir, now)
	return n
}

// totalMemory is the memory of the host in bytes; nil: not known.
func (r *reading) totalMemory() *uint64 {
	info, _ := read(filepath.Join(r.proc, "meminfo"))
	for line := range bytes.Lines(info) { // "MemTotal:       24684092 kB"
		if f := bytes.Fields(line); len(f) > 1 && string(f[0]) == "MemTotal:" {
			if kib := number(f[1]); kib != nil && *kib <= math.MaxInt64>>10 {
				total := *kib << 10
				return &total
			}
		}
	}
	return nil
}

func (r *reading) pod(p Pod, now time.Time) statsv1.PodStats {
	s := statsv1.PodStats{
		PodRef:    statsv1.PodReference{Name: p.Name, Namespace: p.Namespace, UID: p.UID},
		StartTime: metav1.NewTime(p.Start), Containers: []statsv1.ContainerStats{},
	}
	var all []Usage
	for _, c := range p.Containers {
		dirs, err := r.dirsOf(c)
		if err != nil {
			continue // it has just ended
		}
		u := r.usage(dirs)
		if u.CPU == nil && u.Memory == nil {
			continue
		}
		all = append(all, u)
		s.Containers = append(s.Containers, statsv1.ContainerStats{
			Name: c.Name, StartTime: metav1.NewTime(c.Start), CPU: r.cpu(c.ID, u, c.Start), Memory: memoryStats(u),
		})
	}
	slices.SortFunc(s.Containers, func(a, b statsv1.ContainerStats) int { return cmp.Compare(a.Name, b.Name) })
	if len(all) > 0 {
		sum := sumOf(all)
		s.CPU, s.Memory = cpuStats(sum), memoryStats(sum)
	}
	if !r.little && p.NetworkPID > 0 {
		s.Network = r.network(strconv.Itoa(p.NetworkPID), now)
	}
	return s
}

// dirsOf are a container's groups, which stay the same as long as it runs.
func (r *reading) dirsOf(c Container) (dirs [controllers]string, err error) {
	dirs, known := r.before[c.ID]
	if !known {
		if dirs, err = r.of(c.ID, c.PID); err != nil {
			return dirs, err
		}
	}
	r.groups[c.ID] = dirs
	return dirs, nil
}

// sumOf is the use of a pod: the sum of its containers', of a field that all have. The sandbox's own use is next to nothing.
func sumOf(all []Usage) (sum Usage) {
	sum = all[0]
	for _, u := range all[1:] {
		for _, f := range []struct {
			to **uint64
			n  *uint64
		}{{&sum.CPU, u.CPU}, {&sum.Memory, u.Memory}, {&sum.WorkingSet, u.WorkingSet}, {&sum.RSS, u.RSS}, {&sum.Faults, u.Faults}, {&sum.MajorFaults, u.MajorFaults}, {&sum.MemoryLimit, u.MemoryLimit}} {
			if *f.to == nil || f.n == nil {
				*f.to = nil
				continue
			}
			n := **f.to + *f.n
			*f.to = &n
		}
	}
	return sum
}

// cpu makes a CPU time that gets its rate.
func (r *reading) cpu(key string, u Usage, start time.Time) *statsv1.CPUStats {
	s := cpuStats(u)
	if s != nil {
		r.points[key] = usagerate.Point{At: u.CPUAt, Value: *u.CPU}
		r.rated = append(r.rated, rated{key, start, s})
	}
	return s
}

// addRates fills in the rates: of the node and containers by what was read before, of pods as the sum of their containers'.
func (r *reading) addRates(s *statsv1.Summary, before usagerate.Base[string]) {
	if before.Empty() {
		return
	}
	for _, one := range r.rated {
		if rate, ok := before.Rate(one.key, r.points[one.key], one.start); ok {
			one.to.UsageNanoCores = &rate.PerSecond
		}
	}
	for _, p := range s.Pods {
		var sum uint64
		all := p.CPU != nil
		for _, c := range p.Containers {
			if all = all && c.CPU != nil && c.CPU.UsageNanoCores != nil; all {
				sum += *c.CPU.UsageNanoCores
			}
		}
		if all {
			p.CPU.UsageNanoCores = &sum
		}
	}
}

func cpuStats(u Usage) *statsv1.CPUStats {
	if u.CPU == nil {
		return nil
	}
	return &statsv1.CPUStats{Time: metav1.NewTime(u.CPUAt), UsageCoreNanoSeconds: u.CPU}
}

func memoryStats(u Usage) *statsv1.MemoryStats {
	if u.Memory == nil {
		return nil
	}
	return &statsv1.MemoryStats{
		Time: metav1.NewTime(u.MemoryAt), AvailableBytes: less(u.MemoryLimit, u.WorkingSet), UsageBytes: u.Memory, WorkingSetBytes: u.WorkingSet,
		RSSBytes: u.RSS, PageFaults: u.Faults, MajorPageFaults: u.MajorFaults,
	}
}

// network is the traffic of a process's network namespace; nil where it has ended.
func (r *reading) network(process string, now time.Time) *statsv1.NetworkStats {
	text, err := read(filepath.Join(r.proc, process, "net/dev"))
	if err != nil {
		return nil
	}
	all := parseNetwork(text)
	return &statsv1.NetworkStats{Time: metav1.NewTime(now), InterfaceStats: primary(all), Interfaces: all}
}

// fileSystem is that of a directory; nil where there is none.
func fileSystem(dir string, now time.Time) *statsv1.FsStats {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil || fs.Bsize < 0 {
		return nil
	}
	size := uint64(fs.Bsize)
	of := func(n uint64) *uint64 { return &n }
	return &statsv1.FsStats{
		Time: metav1.NewTime(now), AvailableBytes: of(fs.Bavail * size), CapacityBytes: of(fs.Blocks * size), UsedBytes: of((fs.Blocks - min(fs.Bfree, fs.Blocks)) * size),
		InodesFree: of(fs.Ffree), Inodes: of(fs.Files), InodesUsed: of(fs.Files - min(fs.Ffree, fs.Files)),
	}
}
