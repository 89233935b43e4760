package up

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// state is what `gantry down` and `gantry env` must know of a process that uses a data directory, in <data-dir>/lock
// (gantry up) or <data-dir>/<agent>.lock (an agent alone). The process holds a flock on that file.
type state struct {
	PID        int    `json:"pid"`
	NodeName   string `json:"nodeName"`
	Node       bool   `json:"node"` // containers and addresses may have been made
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

// lock takes the data directory for this process until the file is closed.
func lock(c Config) (*os.File, error) {
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("making --data-dir: %w", err)
	}
	f, err := os.OpenFile(c.lockPath(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening --data-dir: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder, _ := readState(f.Name()) // a half-written one has pid 0
		f.Close()
		return nil, fmt.Errorf("--data-dir %s is in use by another gantry (pid %d): end it, or give this one a directory and ports of its own", c.DataDir, holder.PID)
	}
	if err := writeState(f, c); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// writeState replaces the state in a lock file that is held.
func writeState(f *os.File, c Config) error {
	text, err := json.Marshal(c.state())
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

// state is what is written for c.
func (c Config) state() state {
	s := state{
		PID: os.Getpid(), NodeName: c.NodeName, Node: c.isNode(), DockerHost: c.DockerHost,
		EtcdServers: c.EtcdServers, EtcdCAFile: c.EtcdCAFile, EtcdCertFile: c.EtcdCertFile, EtcdKeyFile: c.EtcdKeyFile,
	}
	if c.embedsEtcd() {
		s.EtcdServers = []string{fmt.Sprintf("https://127.0.0.1:%d", c.EtcdPort)}
	}
	return s
}

func readState(file string) (state, error) {
	var s state
	text, err := os.ReadFile(file)
	if err != nil {
		return s, err
	}
	err = json.Unmarshal(text, &s)
	return s, err
}

// states reads every state of a data directory, by file.
func states(dataDir string) (map[string]state, error) {
	files, err := filepath.Glob(filepath.Join(dataDir, "*lock"))
	if err != nil {
		return nil, err
	}
	all := map[string]state{}
	for _, file := range files {
		s, err := readState(file)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		all[file] = s
	}
	return all, nil
}
