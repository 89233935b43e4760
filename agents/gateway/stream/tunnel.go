package stream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/websocket"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"gantry/agents/gateway/request"
)

// A tunnel is SPDY inside a WebSocket (KEP-4006), for clients behind proxies that let no other upgrade through. Its subprotocol is the
// prefix and SPDY's own: "SPDY/3.1+portforward.k8s.io".
const (
	tunnelPrefix   = "SPDY/3.1+"
	spdy           = "SPDY/3.1"
	streamProtocol = "X-Stream-Protocol-Version"
)

// tunnelled are the protocols that a WebSocket offers to speak by SPDY inside it; none where it is not one.
func tunnelled(h http.Header) (protocols []string) {
	if !strings.EqualFold(h.Get("Upgrade"), "websocket") {
		return nil
	}
	for _, p := range strings.Split(strings.Join(h.Values("Sec-Websocket-Protocol"), ","), ",") {
		if inside, ok := strings.CutPrefix(strings.TrimSpace(p), tunnelPrefix); ok && strings.HasSuffix(inside, ".k8s.io") {
			protocols = append(protocols, inside)
		}
	}
	return protocols
}

// tunnel connects a client's WebSocket with a kubelet's SPDY at u. The kubelet is asked first: what it refuses is answered as such.
func (s *Handlers) tunnel(ctx context.Context, w http.ResponseWriter, r *request.Request, u *url.URL, protocols []string) error {
	if _, ok := w.(http.Hijacker); !ok || r.ProtoMajor != 1 {
		return errNoWebSocket
	}
	out, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), nil)
	if err != nil {
		return err
	}
	out.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {spdy}, streamProtocol: protocols}
	resp, err := s.kubelets.transport.RoundTrip(out)
	if err != nil {
		return unreachable(r.Context(), u.Host, err)
	}
	kubelet, ok := resp.Body.(io.ReadWriteCloser)
	if resp.StatusCode != http.StatusSwitchingProtocols || !ok {
		defer resp.Body.Close()
		return kubeletError(r, resp)
	}
	defer kubelet.Close()
	chosen := resp.Header.Get(streamProtocol)
	websocket.Server{
		Handshake: func(c *websocket.Config, _ *http.Request) error {
			c.Protocol = []string{tunnelPrefix + chosen}
			return nil
		},
		Handler: func(ws *websocket.Conn) {
			ws.PayloadType = websocket.BinaryFrame
			defer context.AfterFunc(ctx, func() { _ = kubelet.Close() })()
			join(ws, kubelet)
		},
	}.ServeHTTP(w, r.Request)
	return nil
}

// errNoWebSocket is the answer to a connection that cannot become a WebSocket.
var errNoWebSocket = apierrors.NewBadRequest("unable to upgrade: a WebSocket needs HTTP/1.1")

// join copies in both directions until one has ended, then closes both.
func join(a, b io.ReadWriteCloser) {
	back := make(chan struct{})
	go func() {
		defer close(back)
		_, _ = io.Copy(a, b)
		_ = errors.Join(a.Close(), b.Close())
	}()
	_, _ = io.Copy(b, a)
	_ = errors.Join(a.Close(), b.Close())
	<-back
}
