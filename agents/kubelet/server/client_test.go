package server

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

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

// A forwarded connection ends with the client, though the server in the pod neither speaks nor hangs up.
func TestForwardedConnectionEndsWithTheClient(t *testing.T) {
	pid := netnstest.Pod(t)
	var l net.Listener
	netnstest.In(t, pid, func() {
		netnstest.SetLoopbackUp(t)
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
