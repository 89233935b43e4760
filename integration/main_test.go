package integration

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
)

// nodeIP is the address in the tests' network namespace: that of the node.
const nodeIP = "192.168.77.10"

// gantry is the binary under test, image the name of the pods' image.
var gantry, image string

// TestMain runs the tests in a new network namespace, so that their bridges, routes and nftables are
// not the machine's. Containers run on the machine's Docker Engine, labelled with their node's name.
func TestMain(m *testing.M) {
	if os.Getenv("GANTRY_TEST_NETNS") == "" {
		os.Exit(runInNamespace())
	}
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "setting up the integration tests:", err)
		code = 1
	}
	os.Exit(code)
}

// runInNamespace runs this program again in a new network namespace, and returns its exit code.
func runInNamespace() int {
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), "GANTRY_TEST_NETNS=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	var exit *exec.ExitError
	if err := cmd.Run(); errors.As(err, &exit) {
		return exit.ExitCode()
	} else if err != nil {
		fmt.Fprintln(os.Stderr, "making a network namespace (are you root?):", err)
		return 1
	}
	return 0
}

func runTests(m *testing.M) (int, error) {
	if err := setUpNetwork(); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "gantry-integration-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	gantry = filepath.Join(dir, "gantry")
	if err := build(gantry, "../agents"); err != nil {
		return 1, err
	}
	image = fmt.Sprintf("gantry-test:%d", os.Getpid())
	if err := buildImage(dir); err != nil {
		return 1, err
	}
	defer exec.Command("docker", "image", "rm", "-f", image).Run()
	return m.Run(), nil
}

// setUpNetwork gives the namespace loopback and an interface with an address and a default route.
func setUpNetwork() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	eth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "eth0-peer"} // nothing is attached to the peer
	addr, err := netlink.ParseAddr(nodeIP + "/24")
	if err != nil {
		return err
	}
	for _, do := range []func() error{
		func() error { return netlink.LinkSetUp(lo) },
		func() error { return netlink.LinkAdd(eth) },
		func() error { return netlink.AddrAdd(eth, addr) },
		func() error { return netlink.LinkSetUp(eth) },
		func() error {
			peer, err := netlink.LinkByName("eth0-peer")
			if err != nil {
				return err
			}
			return netlink.LinkSetUp(peer)
		},
		func() error {
			return netlink.RouteAdd(&netlink.Route{LinkIndex: eth.Index, Gw: net.IPv4(192, 168, 77, 1)})
		},
	} {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

func build(out, pkg string) error {
	cmd := exec.Command("go", "build", "-o", out, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", pkg, err, text)
	}
	return nil
}

// buildImage builds the pods' image: busybox as a shell, and testpod.
func buildImage(dir string) error {
	root := filepath.Join(dir, "image")
	if err := os.MkdirAll(filepath.Join(root, "bin"), 0o755); err != nil {
		return err
	}
	if err := build(filepath.Join(root, "bin", "testpod"), "./testpod"); err != nil {
		return err
	}
	script := `set -e
busybox=$(command -v busybox) && file=$busybox
cp "$file" "$0/bin/busybox"
for a in sh ls cat echo sleep env id stat hostname true false touch tar date head mkdir rm; do ln -s busybox "$0/bin/$a"; done
mkdir -p "$0/tmp" "$0/etc"
tar -C "$0" -c . | docker import --change 'ENV PATH=/bin' - "$1"`
	if text, err := exec.Command("bash", "-c", script, root, image).CombinedOutput(); err != nil {
		return fmt.Errorf("building the pods' image (is busybox-static installed and does Docker answer?): %w\n%s", err, text)
	}
	return nil
}
