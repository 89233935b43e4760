package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// child is a process that is measured.
type child struct {
	cmd  *exec.Cmd
	done chan struct{}
	log  bytes.Buffer
}

// startChild starts a command and waits until its standard output has a line with ready.
func startChild(waitTimeout time.Duration, ready string, name string, args ...string) (*child, error) {
	c := &child{cmd: exec.Command(name, args...), done: make(chan struct{})}
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	c.cmd.Stderr = &c.log
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	up := make(chan struct{})
	go func() {
		defer close(c.done)
		lines, seen := bufio.NewScanner(out), false
		for lines.Scan() {
			if !seen && strings.Contains(lines.Text(), ready) {
				seen = true
				close(up)
			}
		}
		_, _ = io.Copy(io.Discard, out)
		_ = c.cmd.Wait()
	}()
	select {
	case <-up:
		return c, nil
	case <-c.done:
		return nil, fmt.Errorf("%s ended: %s", name, c.log.String())
	case <-time.After(waitTimeout):
		c.end()
		return nil, fmt.Errorf("%s was not ready in %s: %s", name, waitTimeout, c.log.String())
	}
}

// end stops the process and waits for it.
func (c *child) end() {
	if c == nil {
		return
	}
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.done:
	case <-time.After(10 * time.Second):
		_ = c.cmd.Process.Kill()
		<-c.done
	}
}

// pid is the process's; the zero child is this process.
func (c *child) pid() int {
	if c.cmd == nil {
		return os.Getpid()
	}
	return c.cmd.Process.Pid
}

// cpu is the CPU time that the process has used, user and system.
func (c *child) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.pid()))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * (time.Second / 100) // USER_HZ is 100 on every Linux that Go runs on
}

// rss is the resident memory of the process in bytes: its own, and that of the files it has mapped (etcd's database).
func (c *child) rss() (own, files int64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.pid()))
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(text)) {
		for name, n := range map[string]*int64{"RssAnon:": &own, "RssFile:": &files} {
			if rest, ok := strings.CutPrefix(line, name); ok {
				kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
				*n = kib << 10
			}
		}
	}
	return own, files
}

// freePort is a TCP port of loopback that is free.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
