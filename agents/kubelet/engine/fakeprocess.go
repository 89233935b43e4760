package engine

import (
	"io"
	"sync"
)

// Program is what a process of a Fake does; it returns the exit code. It returns when p is Killed.
type Program func(p *Process) (exitCode int)

// Process is a running program of a Fake.
type Process struct {
	Args, Env []string
	In        io.Reader // nil: no input
	Out, Err  io.Writer
	// Stopped is closed by the stop signal, Killed by SIGKILL.
	Stopped, Killed <-chan struct{}

	stopped, killed    chan struct{}
	stopOnce, killOnce sync.Once
	ended              chan struct{} // closed by whoever runs the process
}

// killedCode is the exit code of a killed process.
const killedCode = 137

func newProcess(args, env []string, in io.Reader, out, errOut io.Writer) *Process {
	p := &Process{
		Args: args, Env: env, In: in, Out: out, Err: errOut,
		stopped: make(chan struct{}), killed: make(chan struct{}), ended: make(chan struct{}),
	}
	p.Stopped, p.Killed = p.stopped, p.killed
	return p
}

func (p *Process) stop() { p.stopOnce.Do(func() { close(p.stopped) }) }
func (p *Process) kill() { p.killOnce.Do(func() { close(p.killed) }) }

// run runs the program to its end. A killed one is not waited for: it may write no more.
func (p *Process) run(program Program) (exitCode int) {
	done := make(chan int, 1)
	go func() { done <- program(p) }() // ends with the program, which ends when it is killed
	select {
	case code := <-done:
		return code
	case <-p.killed:
		<-done
		return killedCode
	}
}
