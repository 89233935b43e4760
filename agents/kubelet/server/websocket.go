package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	"k8s.io/klog/v2"
	"k8s.io/streaming/pkg/httpstream/wsstream"
	utilexec "k8s.io/utils/exec"
)

// wantsV5 tells that the client offers the protocol in which it can end its input over a WebSocket. cri-streaming leaves that to
// API servers, which turn it into SPDY; our gateway passes connections through as they are.
func wantsV5(r *http.Request) bool { return wsstream.IsWebSocketRequestWithStreamCloseProtocol(r) }

// serveV5 runs a session over a WebSocket of v5.channel.k8s.io: channels 0 to 4 are input, output, error output, the status at
// the end, and the terminal's size.
func (s *server) serveV5(w http.ResponseWriter, r *http.Request, o *remotecommand.Options, f run, failure string) {
	channels := []wsstream.ChannelType{
		remotecommand.StreamStdIn:  channel(o.Stdin, wsstream.ReadChannel),
		remotecommand.StreamStdOut: channel(o.Stdout, wsstream.WriteChannel),
		remotecommand.StreamStdErr: channel(o.Stderr, wsstream.WriteChannel),
		remotecommand.StreamErr:    wsstream.WriteChannel,
		remotecommand.StreamResize: wsstream.ReadChannel,
	}
	conn := wsstream.NewConn(map[string]wsstream.ChannelProtocolConfig{
		remotecommand.StreamProtocolV5Name: {Binary: true, Channels: channels},
	})
	conn.SetIdleTimeout(idleTimeout)
	// The library logs the end of every connection as an error.
	_, streams, err := conn.Open(w, r.WithContext(klog.NewContext(r.Context(), logr.Discard())))
	if err != nil {
		s.cfg.Log.Debug("websocket not opened", "path", r.URL.Path, "err", err)
		return
	}
	defer conn.Close()
	ses := session{tty: o.TTY}
	if o.Stdin {
		ses.in = streams[remotecommand.StreamStdIn]
	}
	if o.Stdout {
		ses.out = streams[remotecommand.StreamStdOut]
	}
	if o.Stderr {
		ses.err = streams[remotecommand.StreamStdErr]
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	sizes := make(chan remotecommand.TerminalSize)
	ses.resize = sizes
	go readSizes(ctx, streams[remotecommand.StreamResize], sizes)
	writeStatus(streams[remotecommand.StreamErr], f(ctx, ses), failure)
}

func channel(wanted bool, t wsstream.ChannelType) wsstream.ChannelType {
	if wanted {
		return t
	}
	return wsstream.IgnoreChannel
}

// readSizes reads sizes, one JSON object after the other, until the stream ends; then it closes sizes.
func readSizes(ctx context.Context, from io.Reader, sizes chan<- remotecommand.TerminalSize) {
	defer close(sizes)
	for d := json.NewDecoder(from); ; {
		var size remotecommand.TerminalSize
		if d.Decode(&size) != nil {
			return
		}
		select {
		case sizes <- size:
		case <-ctx.Done():
			return
		}
	}
}

// writeStatus ends a session with what came of it, as clients read it: a Status whose cause ExitCode is the command's. failure introduces an err
// that is no exit code.
func writeStatus(to io.Writer, err error, failure string) {
	status := metav1.Status{Status: metav1.StatusSuccess}
	var exit utilexec.ExitError
	switch {
	case errors.As(err, &exit) && exit.Exited():
		status = metav1.Status{
			Status: metav1.StatusFailure, Reason: remotecommand.NonZeroExitCodeReason,
			Message: fmt.Sprintf("command terminated with non-zero exit code: %v", exit),
			Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{
				Type: remotecommand.ExitCodeCauseType, Message: fmt.Sprint(exit.ExitStatus()),
			}}},
		}
	case err != nil:
		status = metav1.Status{
			Status: metav1.StatusFailure, Reason: metav1.StatusReasonInternalError, Code: http.StatusInternalServerError,
			Message: fmt.Sprintf("Internal error occurred: %s: %v", failure, err),
		}
	}
	if b, err := json.Marshal(status); err == nil {
		_, _ = to.Write(b) // the client went
	}
}
