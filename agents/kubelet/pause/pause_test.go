package pause

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestProgramEndsOnSIGTERM(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		cmd := start(t, false)
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		if err := wait(t, cmd); err != nil {
			t.Errorf("%v: got %v, want exit 0", sig, err)
		}
	}
}

func TestProgramEndsOnSIGTERMAsFirstProcess(t *testing.T) {
	cmd := start(t, true)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := wait(t, cmd); err != nil {
		t.Errorf("got %v, want exit 0", err)
	}
}

func TestProgramOutlivesOtherSignals(t *testing.T) {
	cmd := start(t, true)
	for _, sig := range []syscall.Signal{syscall.SIGCHLD, syscall.SIGHUP, syscall.SIGCONT} {
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := wait(t, cmd); err != nil {
		t.Errorf("got %v, want exit 0 from SIGTERM alone", err)
	}
}

func TestImageIsDeterministic(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		a, err := Image(arch)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := Image(arch)
		if digest(a) != digest(b) {
			t.Errorf("%s: two images differ", arch)
		}
	}
	if _, err := Image("s390x"); err == nil {
		t.Error("s390x: want an error")
	}
}

// start runs the program; it returns once the program waits for its signals.
func start(t *testing.T, first bool) *exec.Cmd {
	t.Helper()
	program, err := Program(runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "pause")
	if err := os.WriteFile(path, program, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path)
	if first {
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	for deadline := time.Now().Add(5 * time.Second); !waits(t, cmd.Process.Pid); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("the program waits for no signal")
		}
	}
	return cmd
}

// waits tells whether the process is in rt_sigtimedwait.
func waits(t *testing.T, pid int) bool {
	t.Helper()
	call, err := os.ReadFile(fmt.Sprintf("/proc/%d/syscall", pid))
	if err != nil {
		t.Fatal(err)
	}
	number := map[string]string{"amd64": "128 ", "arm64": "137 "}[runtime.GOARCH]
	return strings.HasPrefix(string(call), number)
}

func wait(t *testing.T, cmd *exec.Cmd) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		return err
	case <-time.After(5 * time.Second):
		t.Fatal("the program does not end")
		return nil
	}
}
