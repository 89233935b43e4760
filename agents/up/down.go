package up

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"gantry/agents/dns"
	"gantry/agents/internal/removetree"
	"gantry/agents/kubelet"
	"gantry/agents/network"
	"gantry/agents/proxy"
	"gantry/agents/proxy/announce"
)

// Down ends every gantry of a data directory and removes what it created: containers, volumes, links, nftables,
// its own images and data. It writes each step to out. A directory without a lock file is no error.
func Down(ctx context.Context, dataDir string, out io.Writer) error {
	all, err := lockInfos(dataDir)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		fmt.Fprintf(out, "no gantry has run with --data-dir %s: nothing to remove\n", dataDir)
		return nil
	}
	node := false
	for file, s := range all {
		if err := end(ctx, file, s, out); err != nil {
			return err
		}
		if s.Node {
			node = true
			if err := kubelet.Clean(ctx, s.DockerHost, s.NodeName, filepath.Join(dataDir, "node")); err != nil {
				return fmt.Errorf("removing the containers of node %s: %w", s.NodeName, err)
			}
			fmt.Fprintf(out, "removed the containers of node %s\n", s.NodeName)
		}
	}
	if node {
		if err := errors.Join(proxy.Clean(), announce.Clean(), dns.Clean(), network.Clean()); err != nil {
			return fmt.Errorf("removing addresses: %w", err)
		}
		fmt.Fprintln(out, "removed links, routes and nftables")
	}
	if err := removeData(dataDir); err != nil {
		return err
	}
	fmt.Fprintf(out, "removed %s\n", dataDir)
	return nil
}

// dataFiles are the files that Gantry creates in a data directory. Other files stay.
var dataFiles = []string{"etcd", "etcd.before-restore-*", "pki", "node", "volumes", "admin.conf", "gantry.log", "*lock"}

func removeData(dataDir string) error {
	for _, pattern := range dataFiles {
		files, err := filepath.Glob(filepath.Join(dataDir, pattern))
		if err != nil {
			return err
		}
		for _, f := range files {
			if err := removetree.All(f); err != nil {
				return fmt.Errorf("removing data: %w", err)
			}
		}
	}
	err := os.Remove(dataDir)
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EBUSY) { // it has other files, or is a mount point
		return nil
	}
	return err
}

// endTimeout is how long a process may take to end after SIGTERM.
const endTimeout = 15 * time.Second

// end sends SIGTERM to the process that holds file's lock and waits until it has ended.
func end(ctx context.Context, file string, s lockInfo, out io.Writer) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
		return nil // the process has ended; its pid may be another's by now
	}
	if err := unix.Kill(s.PID, unix.SIGTERM); err != nil {
		return fmt.Errorf("ending gantry (pid %d): %w", s.PID, err)
	}
	ctx, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	t := time.NewTicker(50 * time.Millisecond)
	defer t.Stop()
	for unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		select {
		case <-ctx.Done():
			return fmt.Errorf("gantry (pid %d) has not ended %s after SIGTERM", s.PID, endTimeout)
		case <-t.C:
		}
	}
	fmt.Fprintf(out, "ended gantry (pid %d)\n", s.PID)
	return nil
}
