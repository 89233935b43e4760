package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// NodeIP is the address of the network namespace.
const NodeIP = "192.168.78.10"

// binVariable names the folder of the built programs in the environment; ./scripts/clients builds them and sets it.
const binVariable = "GANTRY_CLIENTS_BIN"

// Program is the path of a built program.
func Program(name string) string { return filepath.Join(os.Getenv(binVariable), name) }

// Main runs a package's tests in a new network namespace, so that ports, links and nftables are not the machine's. start makes what
// the tests use; what it returns ends it.
func Main(m *testing.M, start func() (stop func(), err error)) {
	if os.Getenv("GANTRY_TEST_NETNS") == "" {
		os.Exit(runInNamespace())
	}
	code, err := runTests(m, start)
	if err != nil {
		fmt.Fprintln(os.Stderr, "setting up the tests:", err)
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

func runTests(m *testing.M, start func() (func(), error)) (int, error) {
	if os.Getenv(binVariable) == "" {
		return 1, fmt.Errorf("%s is not set: run ./scripts/clients", binVariable)
	}
	// Nothing is attached to the veth's other end.
	network := `set -e
ip link set lo up
ip link add eth0 type veth peer name eth0-peer
ip addr add ` + NodeIP + `/24 dev eth0
ip link set eth0 up
ip link set eth0-peer up
ip route add default via 192.168.78.1`
	if out, err := exec.Command("sh", "-c", network).CombinedOutput(); err != nil {
		return 1, fmt.Errorf("setting up the network namespace: %w\n%s", err, out)
	}
	stop, err := start()
	if err != nil {
		return 1, err
	}
	defer stop()
	return m.Run(), nil
}
