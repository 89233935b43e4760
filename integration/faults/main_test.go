//go:build faults

package faults

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/vishvananda/netlink"
	"go.etcd.io/etcd/server/v3/etcdmain"

	"gantry/integration/netns"
)

// waitTimeout bounds waits in these tests.
var waitTimeout = seconds(60)

// gantry is the binary under test.
var gantry string

// Environment variables that this binary sets when it starts itself: what it then runs.
const (
	asEtcd  = "GANTRY_FAULTS_ETCD"  // etcd's own program
	asTests = "GANTRY_FAULTS_NETNS" // the tests, in a network namespace of their own
)

func TestMain(m *testing.M) {
	if os.Getenv(asEtcd) != "" {
		etcdmain.Main(os.Args)
		return
	}
	if os.Getenv(asTests) == "" {
		os.Exit(netns.Run(asTests))
	}
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "setting up the tests:", err)
		code = 1
	}
	os.Exit(code)
}

// runTests creates the bridge that all machines are on and builds gantry, unless $GANTRY names one.
func runTests(m *testing.M) (int, error) {
	br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridge}}
	addr, err := netlink.ParseAddr(observer + "/24")
	if err != nil {
		return 1, err
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return 1, err
	}
	if err := errors.Join(netlink.LinkSetUp(lo), netlink.LinkAdd(br), netlink.AddrAdd(br, addr), netlink.LinkSetUp(br)); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "gantry-faults-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	if gantry = os.Getenv("GANTRY"); gantry == "" {
		gantry = filepath.Join(dir, "gantry")
		cmd := exec.Command("go", "build", "-o", gantry, "../../agents")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			return 1, fmt.Errorf("building gantry: %w\n%s", err, text)
		}
	}
	return m.Run(), nil
}
