package stream

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"k8s.io/client-go/tools/remotecommand"

	"gantry/agents/internal/netnstest"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// A client that goes takes the process along that it ran, be it one that neither reads nor writes.
func TestExecEndsWithItsClient(t *testing.T) {
	n := newNode(t, 0)
	for path, tty := range map[string]bool{
		"/exec/default/web/web?command=hang&output=1":               false,
		"/exec/default/web/web?command=hang&input=1&output=1&tty=1": true,
	} {
		for way, e := range executors(t, n.as("gantry-gateway"), path) {
			ctx, cancel := context.WithCancel(t.Context())
			in, _ := io.Pipe()
			o := remotecommand.StreamOptions{Stdout: io.Discard}
			if tty {
				o.Stdin, o.Tty = in, true
			}
			ended := make(chan error, 1)
			go func() { ended <- e.StreamWithContext(ctx, o) }()
			p := <-n.docker.hanging
			cancel()
			<-ended
			select {
			case <-p.ended:
			case <-time.After(patience):
				t.Errorf("%s by %s: the process goes on", path, way)
			}
			_ = in.Close()
		}
	}
}

// What is killed is the exec's process: not one that has its number by now, and not one of another container.
func TestOnlyTheExecsProcessIsKilled(t *testing.T) {
	for name, tc := range map[string]struct {
		first, then container.ExecInspect
		killed      bool
	}{
		"runs":                 {container.ExecInspect{Running: true}, container.ExecInspect{Running: true}, true},
		"has ended":            {container.ExecInspect{}, container.ExecInspect{}, false},
		"ends meanwhile":       {container.ExecInspect{Running: true}, container.ExecInspect{}, false},
		"of another container": {container.ExecInspect{Running: true, ContainerID: "0123456789abcdef"}, container.ExecInspect{Running: true, ContainerID: "0123456789abcdef"}, false},
	} {
		p := startProcess(t)
		d := &inspections{list: []container.ExecInspect{tc.first, tc.then}}
		for i := range d.list {
			d.list[i].Pid = p.pid
			if d.list[i].ContainerID == "" {
				d.list[i].ContainerID = newFakeDocker(t).group
			}
		}
		if err := EndExec(t.Context(), d, "exec"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if tc.killed {
			select {
			case <-p.ended:
			case <-time.After(patience):
				t.Errorf("%s: the process goes on", name)
			}
		} else if !p.runs() {
			t.Errorf("%s: the process was killed", name)
		}
	}
}

// inspections answers with one after the other.
type inspections struct{ list []container.ExecInspect }

func (d *inspections) ContainerExecInspect(context.Context, string) (container.ExecInspect, error) {
	e := d.list[0]
	d.list = d.list[1:]
	return e, nil
}

// A forwarded connection ends with the client, though the server in the pod neither speaks nor hangs up.
func TestForwardedConnectionEndsWithTheClient(t *testing.T) {
	pid := netnstest.Pod(t)
	var l net.Listener
	netnstest.In(t, pid, func() {
		netnstest.Loopback(t)
		var err error
		if l, err = net.Listen("tcp", "127.0.0.1:8080"); err != nil {
			t.Fatal(err)
		}
	})
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	client, stream := net.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- forwarder{ctx, func() (int, error) { return pid, nil }}.PortForward(context.Background(), "web", "", 8080, stream)
	}()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = client.Close()
	cancel()
	select {
	case <-done:
	case <-time.After(patience):
		t.Error("the connection stays")
	}
}
