package stats

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Usage is what a group uses. Fields are nil where they are not known.
type Usage struct {
	CPU             *uint64 // nanoseconds since the group was made
	CPUAt, MemoryAt time.Time
	Memory          *uint64 // bytes, with page cache
	WorkingSet      *uint64 // bytes
	RSS             *uint64 // bytes
	Faults          *uint64 // since the group was made
	MajorFaults     *uint64
	MemoryLimit     *uint64 // bytes; nil: none
}

// maxFile bounds what is read of a file. A group's largest has 2 KiB; /proc/stat grows with the host's interrupts.
const maxFile = 1 << 20 // bytes

// read reads a small file of the kernel. os.Open would register it with the runtime's poller, which takes longer than all the rest.
func read(path string) ([]byte, error) {
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer func() { _ = syscall.Close(fd) }() // nothing was written
	b := make([]byte, 4<<10)
	n := 0
	for {
		m, err := syscall.Read(fd, b[n:])
		n += max(m, 0)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return nil, &os.PathError{Op: "read", Path: path, Err: err}
		case m == 0:
			return b[:n], nil
		case n >= maxFile:
			return nil, &os.PathError{Op: "read", Path: path, Err: syscall.EFBIG}
		case n == len(b):
			b = append(b, make([]byte, len(b))...)
		}
	}
}

// usage reads the files of a group.
func (f files) usage(dirs [controllers]string) (u Usage) {
	file := func(c controller, name string) []byte {
		if dirs[c] == "" {
			return nil
		}
		b, err := read(filepath.Join(dirs[c], name))
		if err != nil {
			return nil // the group has ended, or the kernel does not count it
		}
		return b
	}
	u.CPUAt = time.Now()
	if f.hierarchies[cpu].v1 {
		u.CPU = number(file(cpu, "cpuacct.usage"))
	} else {
		u.CPU = microseconds(keyed(file(cpu, "cpu.stat"), "usage_usec")[0])
	}
	u.MemoryAt = time.Now()
	if f.hierarchies[memory].v1 {
		u.memoryV1(file(memory, "memory.usage_in_bytes"), file(memory, "memory.stat"))
	} else {
		u.memoryV2(file(memory, "memory.current"), file(memory, "memory.stat"), file(memory, "memory.max"))
	}
	return u
}

// MemoryUsage is what a running container's processes and page cache take, in bytes.
func MemoryUsage(c Container) (int64, error) {
	f, err := openFiles("")
	if err != nil {
		return 0, fmt.Errorf("finding the control groups: %w", err)
	}
	dirs, err := f.of(c.ID, c.PID)
	if err != nil {
		return 0, fmt.Errorf("finding the control group of container %s: %w", c.ID, err)
	}
	used := f.usage(dirs).Memory
	if used == nil {
		return 0, fmt.Errorf("reading the memory of container %s: its control group has ended", c.ID)
	}
	return int64(*used), nil
}

// unlimited is what version 1 has as the limit of a group without one, rounded to pages.
const unlimited = math.MaxInt64 / 2

// memoryV1 reads the files of version 1 (cgroup-v1/memory.rst, 5.2).
func (u *Usage) memoryV1(usage, stat []byte) {
	v := keyed(stat, "total_inactive_file", "total_rss", "total_pgfault", "total_pgmajfault", "hierarchical_memory_limit")
	u.Memory, u.RSS, u.Faults, u.MajorFaults = number(usage), v[1], v[2], v[3]
	u.WorkingSet = less(u.Memory, v[0])
	if v[4] != nil && *v[4] < unlimited {
		u.MemoryLimit = v[4]
	}
}

// memoryV2 reads the files of version 2 (cgroup-v2.rst, memory interface files). The root has no memory.current: what its stat counts is
// used then.
func (u *Usage) memoryV2(current, stat, limit []byte) {
	v := keyed(stat, "inactive_file", "anon", "pgfault", "pgmajfault", "file")
	u.Memory, u.RSS, u.Faults, u.MajorFaults = number(current), v[1], v[2], v[3]
	if current == nil && v[1] != nil && v[4] != nil && *v[1] <= math.MaxUint64-*v[4] {
		sum := *v[1] + *v[4]
		u.Memory = &sum
	}
	u.WorkingSet = less(u.Memory, v[0])
	u.MemoryLimit = number(limit) // "max" is no number
}

// number reads a file that is one number; nil where it is not.
func number(text []byte) *uint64 {
	n, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 64)
	if err != nil {
		return nil
	}
	return &n
}

// keyed reads lines "key value" of a file; nil for a key that is absent or has no number.
func keyed(text []byte, keys ...string) []*uint64 {
	values := make([]*uint64, len(keys))
	for line := range bytes.Lines(text) {
		key, value, ok := bytes.Cut(line, []byte(" "))
		if !ok {
			continue
		}
		for i := range keys {
			if string(key) == keys[i] {
				values[i] = number(value)
			}
		}
	}
	return values
}

// microseconds is a time in nanoseconds.
func microseconds(n *uint64) *uint64 {
	if n == nil || *n > math.MaxUint64/1000 {
		return nil
	}
	ns := *n * 1000
	return &ns
}

// less is a-b, not below 0; nil where one is not known.
func less(a, b *uint64) *uint64 {
	if a == nil || b == nil {
		return nil
	}
	n := *a - min(*a, *b)
	return &n
}
