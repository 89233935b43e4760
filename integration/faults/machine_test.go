//go:build faults

package faults

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// The bridge that machines are on, and the test's own address there.
const (
	bridge   = "bridge"
	observer = "10.99.0.254"
)

// machine is a network namespace with an address on the bridge.
type machine struct {
	t    *testing.T
	name string
	addr string
	ns   netns.NsHandle
}

var machines int // made so far

// newMachine makes a machine that is there until the test ends.
func newMachine(t *testing.T, name string) *machine {
	t.Helper()
	machines++
	m := &machine{t: t, name: name, addr: fmt.Sprintf("10.99.0.%d", machines)}
	link := fmt.Sprintf("m%d", machines)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := netns.Get()
	must(t, err)
	defer home.Close()
	m.ns, err = netns.New() // and moves there
	must(t, err)
	must(t, netns.Set(home))
	br, err := netlink.LinkByName(bridge)
	must(t, err)
	must(t, netlink.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: link, MasterIndex: br.Attrs().Index}, PeerName: "eth0", PeerNamespace: netlink.NsFd(m.ns),
	}))
	here, err := netlink.LinkByName(link)
	must(t, err)
	must(t, netlink.LinkSetUp(here))
	t.Cleanup(func() {
		if err := netlink.LinkDel(here); err != nil {
			t.Errorf("removing machine %s: %v", name, err)
		}
		m.ns.Close()
	})
	m.in(func() {
		for link, addr := range map[string]string{"lo": "127.0.0.1/8", "eth0": m.addr + "/24"} {
			l, err := netlink.LinkByName(link)
			must(t, err)
			a, err := netlink.ParseAddr(addr)
			must(t, err)
			if link != "lo" {
				must(t, netlink.AddrAdd(l, a))
			}
			must(t, netlink.LinkSetUp(l))
		}
		must(t, netlink.RouteAdd(&netlink.Route{Gw: net.ParseIP(observer)})) // a route for Services' addresses
	})
	return m
}

// in runs f on the machine.
func (m *machine) in(f func()) {
	m.t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := netns.Get()
	must(m.t, err)
	defer home.Close()
	must(m.t, netns.Set(m.ns))
	defer func() { must(m.t, netns.Set(home)) }()
	f()
}

// cut drops every packet between the machine and the others. Connections hang: no packet says that they are cut.
func (m *machine) cut(others ...*machine) {
	for _, o := range others {
		m.dropIncoming(o)
		m.nft("add rule ip cut out ip daddr " + o.addr + " drop")
	}
}

// dropIncoming drops every packet from the others to the machine.
func (m *machine) dropIncoming(others ...*machine) {
	m.nft("add table ip cut", "add chain ip cut in { type filter hook input priority 0 ; }", "add chain ip cut out { type filter hook output priority 0 ; }")
	for _, o := range others {
		m.nft("add rule ip cut in ip saddr " + o.addr + " drop")
	}
}

// heal ends cut and dropIncoming.
func (m *machine) heal() { m.nft("add table ip cut", "delete table ip cut") }

func (m *machine) nft(lines ...string) {
	m.t.Helper()
	m.in(func() {
		cmd := exec.Command("nft", "-f", "-")
		cmd.Stdin = strings.NewReader(strings.Join(lines, "\n"))
		if out, err := cmd.CombinedOutput(); err != nil {
			m.t.Fatalf("nft on %s: %v\n%s", m.name, err, out)
		}
	})
}

// process is a running program.
type process struct {
	test *testing.T
	cmd  *exec.Cmd
	log  string        // file
	done chan struct{} // closed when it has ended
	said chan struct{} // closed when it has printed what was waited for
}

// start runs a program on the machine until the test ends; its output goes to a file.
func (m *machine) start(ready, log string, env []string, name string, args ...string) *process {
	m.t.Helper()
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(m.t, err)
	p := &process{test: m.t, cmd: exec.Command(name, args...), log: log, done: make(chan struct{}), said: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = file
	out, err := p.cmd.StdoutPipe()
	must(m.t, err)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	m.in(func() { must(m.t, p.cmd.Start()) })
	go func() {
		defer close(p.done)
		for s := bufio.NewScanner(out); s.Scan(); {
			if ready != "" && strings.Contains(s.Text(), ready) {
				ready = ""
				close(p.said)
			}
			fmt.Fprintln(file, s.Text())
		}
		_ = p.cmd.Wait() // the exit status does not matter
		file.Close()
	}()
	m.t.Cleanup(func() {
		_ = p.cmd.Process.Signal(syscall.SIGCONT)
		p.end(syscall.SIGTERM)
		if m.t.Failed() {
			m.t.Logf("the end of %s:\n%s", filepath.Base(log), tail(log, 1500))
		}
	})
	return p
}

// awaitReady waits until the program has printed that it is ready, and returns how long after began that was.
func (p *process) awaitReady(began time.Time) time.Duration {
	p.test.Helper()
	select {
	case <-p.said:
	case <-p.done:
		p.test.Fatalf("%s ended: %v\n%s", p.cmd.Path, p.cmd.ProcessState, tail(p.log, 4000))
	case <-time.After(waitTimeout):
		p.test.Fatalf("%s was not ready in %s\n%s", p.cmd.Path, waitTimeout, tail(p.log, 4000))
	}
	return time.Since(began)
}

// end sends a signal and waits for the end of the process, a while.
func (p *process) end(sig syscall.Signal) {
	_ = p.cmd.Process.Signal(sig) // it may have ended already
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		p.test.Errorf("%s did not end within 20 s of %s", p.cmd.Path, sig)
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

func (p *process) signal(sig syscall.Signal) {
	p.test.Helper()
	must(p.test, p.cmd.Process.Signal(sig))
}

// memory is a size of /proc/<pid>/status ("VmRSS", "VmHWM") in bytes.
func (p *process) memory(what string) int64 {
	p.test.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	must(p.test, err)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, what+":"); ok {
			var kb int64
			_, err := fmt.Sscan(rest, &kb)
			must(p.test, err)
			return kb << 10
		}
	}
	p.test.Fatalf("no %s of process %d", what, p.cmd.Process.Pid)
	return 0
}

func tail(file string, n int) string {
	text, _ := os.ReadFile(file)
	if len(text) > n {
		text = text[len(text)-n:]
	}
	return string(text)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

// eventually waits until check succeeds, and returns how long that took; seen describes what it found.
func eventually(t *testing.T, what string, within time.Duration, check func() (ok bool, seen string)) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		ok, seen := check()
		if ok {
			return time.Since(began)
		}
		if time.Since(began) > within {
			t.Fatalf("not within %s: %s\nlast seen: %s", within, what, seen)
		}
		<-time.After(50 * time.Millisecond) // there is no signal from other processes to wait on
	}
}
