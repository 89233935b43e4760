package stream

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"

	"golang.org/x/net/websocket"

	"gantry/agents/gateway/request"
)

// The WebSocket subprotocols of a stream that only goes to the client. Without one it is binary.
const (
	socketBinary = "binary.k8s.io"
	socketBase64 = "base64.binary.k8s.io"
)

// maxMessage is how much of a stream one message carries at most.
const maxMessage = 2 << 10 // bytes

// sendMessages sends a stream as the messages of a WebSocket, an empty one first, until the stream, the client or the gateway
// ends; then it closes from. What the client sends is ignored.
func sendMessages(w http.ResponseWriter, req *http.Request, from io.ReadCloser) error {
	if _, ok := w.(http.Hijacker); !ok || req.ProtoMajor != 1 {
		return errNoWebSocket
	}
	websocket.Server{
		Handshake: func(c *websocket.Config, _ *http.Request) error { return pickProtocol(c) },
		Handler: func(ws *websocket.Conn) {
			defer context.AfterFunc(request.Stopping(req.Context()), func() { _ = from.Close() })()
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_, _ = io.Copy(io.Discard, ws) // until either side closes the connection
				_ = from.Close()
			}()
			copyMessages(ws, from, len(ws.Config().Protocol) > 0 && ws.Config().Protocol[0] == socketBase64)
			_ = ws.Close()
			<-ended
		},
	}.ServeHTTP(w, req)
	return nil
}

// pickProtocol keeps of the protocols that the client offers the first that is supported.
func pickProtocol(c *websocket.Config) error {
	if len(c.Protocol) == 0 {
		return nil
	}
	for _, p := range c.Protocol {
		if p == socketBinary || p == socketBase64 {
			c.Protocol = []string{p}
			return nil
		}
	}
	return fmt.Errorf("requested protocol(s) are not supported: %v", c.Protocol)
}

func copyMessages(ws *websocket.Conn, from io.Reader, text bool) {
	send := func(b []byte) error {
		if text {
			return websocket.Message.Send(ws, base64.StdEncoding.EncodeToString(b))
		}
		return websocket.Message.Send(ws, b)
	}
	buf := make([]byte, maxMessage)
	for n, err := 0, error(nil); ; n, err = from.Read(buf) {
		if (n > 0 || err == nil) && send(buf[:n]) != nil || err != nil {
			return
		}
	}
}
