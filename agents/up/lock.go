package up

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// lockInfo is the content of the lock file of a process that uses a data directory: <data-dir>/lock (gantry up) or
// <data-dir>/<agent>.lock (an agent alone). `gantry down` and `gantry env` read it. The process holds a flock on the file.
type lockInfo struct {
	PID        int    `json:"pid"`
	NodeName   string `json:"nodeName"`
	Node       bool   `json:"node"` // it may have created containers and addresses
	DockerHost string `json:"dockerHost"`
	// How etcd is reached.
	EtcdServers  []string `json:"etcdServers"`
	EtcdCAFile   string   `json:"etcdCAFile"`
	EtcdCertFile string   `json:"etcdCertFile"`
	EtcdKeyFile  string   `json:"etcdKeyFile"`
}

// lockPath is the file of a process that runs c.
func (c Config) lockPath() string {
	if c.Embedded {
		return c.path("lock")
	}
	return c.path(c.Agents[0] + ".lock")
}

// lock locks the data directory for this process until the returned file is closed.
func lock(c Config) (*os.File, error) {
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("making --data-dir: %w", err)
	}
	f, err := os.OpenFile(c.lockPath(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening --data-dir: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder, _ := readLockInfo(f.Name()) // a half-written file has pid 0
		f.Close()
		return nil, fmt.Errorf("--data-dir %s is in use by another gantry (pid %d): end it, or give this one a directory and ports of its own", c.DataDir, holder.PID)
	}
	if err := writeLockInfo(f, c); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// writeLockInfo replaces the content of a lock file that this process has locked.
func writeLockInfo(f *os.File, c Config) error {
	text, err := json.Marshal(c.lockInfo())
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt(append(text, '\n'), 0)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", f.Name(), err)
	}
	return nil
}

// lockInfo is the content of the lock file of c.
func (c Config) lockInfo() lockInfo {
	s := lockInfo{
		PID: os.Getpid(), NodeName: c.NodeName, Node: c.isNode(), DockerHost: c.DockerHost,
		EtcdServers: c.EtcdServers, EtcdCAFile: c.EtcdCAFile, EtcdCertFile: c.EtcdCertFile, EtcdKeyFile: c.EtcdKeyFile,
	}
	if c.embedsEtcd() {
		s.EtcdServers = []string{fmt.Sprintf("https://127.0.0.1:%d", c.EtcdPort)}
	}
	return s
}

func readLockInfo(file string) (lockInfo, error) {
	var s lockInfo
	text, err := os.ReadFile(file)
	if err != nil {
		return s, err
	}
	err = json.Unmarshal(text, &s)
	return s, err
}

// lockInfos reads every lock file of a data directory, by path.
func lockInfos(dataDir string) (map[string]lockInfo, error) {
	files, err := filepath.Glob(filepath.Join(dataDir, "*lock"))
	if err != nil {
		return nil, err
	}
	all := map[string]lockInfo{}
	for _, file := range files {
		s, err := readLockInfo(file)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		all[file] = s
	}
	return all, nil
}
