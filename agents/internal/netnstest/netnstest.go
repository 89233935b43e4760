// Package netnstest runs a test binary in a network namespace of its own, so that tests can make links, routes and packet filters
// without touching the host's. It also makes namespaces for pods and outside machines, connects them and serves in them. It
// needs root; without it the tests fail.
package netnstest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"gantry/registry/leaktest"
)

// These environment variables are set in the process that runs the tests in the new namespace, and in the process of a Pod.
const testsEnv, podEnv = "GANTRY_TEST_NETNS", "GANTRY_TEST_POD"

// Main is for TestMain: it runs the package's tests in a new network namespace and exits.
func Main(m *testing.M) {
	switch {
	case os.Getenv(podEnv) != "":
		fmt.Println("up")
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	case os.Getenv(testsEnv) != "":
		if lo, err := netlink.LinkByName("lo"); err == nil {
			_ = netlink.LinkSetUp(lo)
		}
		os.Exit(leaktest.Run(m))
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), testsEnv+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		os.Exit(exit.ExitCode())
	case err != nil:
		fmt.Fprintln(os.Stderr, "running the tests in a network namespace of their own:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Pod starts a process in a new network namespace, as a pod's sandbox has it, and returns the process's id. It ends with the test.
// The package's TestMain must call Main.
func Pod(t testing.TB) (pid int) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), podEnv+"=1", "GORACE=atexit_sleep_ms=0") // a program with the race detector waits a second before it exits
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}

// In runs f in the network namespace of process pid. Sockets that f opens on its own goroutine (Listen, Dial to a literal address)
// stay in that namespace, wherever they are used afterwards.
func In(t testing.TB, pid int, f func()) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		own, err := netns.Get()
		if err != nil {
			done <- err
			return
		}
		defer own.Close()
		ns, err := netns.GetFromPid(pid)
		if err != nil {
			done <- err
			return
		}
		defer ns.Close()
		if err := netns.Set(ns); err != nil {
			done <- err
			return
		}
		f()
		if err = netns.Set(own); err == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
