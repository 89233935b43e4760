package stream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/request"
	"gantry/registry/admit"
)

// Config is what streams need.
type Config struct {
	Registry reader
	// Client is the certificate shown to kubelets; KubeletCAs verify theirs.
	Client     tls.Certificate
	KubeletCAs *x509.CertPool
	// Own is where this gateway listens; Services are the ranges of cluster IPs.
	Own      func() netip.AddrPort
	Services []netip.Prefix
	Log      *slog.Logger
}

// Handlers serve what a pod's kubelet, a pod, a service or a node answers.
type Handlers struct {
	reg      reader
	kubelets *kubelets
	backends *http.Transport
	log      *slog.Logger
}

func New(cfg Config) *Handlers {
	return &Handlers{reg: cfg.Registry, kubelets: newKubelets(cfg), backends: newBackendTransport(), log: cfg.Log}
}

// Stream connects a client with the kubelet of a pod for exec, attach or portforward. The client asks for an upgrade to SPDY or
// WebSocket; the kubelet's 101 makes the two connections one, SPDY inside a WebSocket being unpacked. Any other answer of the kubelet ends the
// request: redirects are not followed and no connection stays half upgraded.
func (s *Handlers) Stream(w http.ResponseWriter, r *request.Request) error {
	if err := s.admit(w, r); err != nil {
		return err
	}
	pod, err := s.podOf(r.Context(), r)
	if err != nil {
		return err
	}
	if r.Subresource != "portforward" {
		if _, err := containerOf(pod, r.Query.Get("container")); err != nil {
			return err
		}
	}
	if pod.Spec.NodeName == "" {
		return apierrors.NewBadRequest(fmt.Sprintf("pod %s does not have a host assigned", pod.Name))
	}
	path, q, err := streamTarget(pod, r.Subresource, r.Query)
	if err != nil {
		return err
	}
	if r.Header.Get("Upgrade") == "" || !strings.Contains(strings.ToLower(r.Header.Get("Connection")), "upgrade") {
		return apierrors.NewBadRequest("Upgrade request required")
	}
	inside := tunnelled(r.Header)
	if len(inside) > 0 && r.Subresource != "portforward" {
		return apierrors.NewBadRequest("unable to upgrade: the only subprotocol offered is not supported")
	}
	ctx, u, err := s.kubeletOf(r.Context(), pod.Spec.NodeName)
	if err != nil {
		return err
	}
	u.Path, u.RawQuery = path, q.Encode()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(request.Stopping(ctx), cancel)()
	if len(inside) > 0 {
		return s.tunnel(ctx, w, r, u, inside)
	}
	s.kubeletProxy(r, u).ServeHTTP(w, r.WithContext(ctx))
	return nil
}

// admit asks admission whether the connection may be made.
func (s *Handlers) admit(w http.ResponseWriter, r *request.Request) error {
	var texts []string
	opts := request.WriteOptions{}.For(r)
	opts.Warn = encode.CollectWarnings(&texts)
	err := s.reg.Admit(r.Context(), admit.Connect, r.Kind, r.Scope(), r.Name, connectOptions(r), nil, opts)
	if err != nil {
		return err
	}
	encode.Warnings(w, texts)
	return nil
}

// kubeletProxy passes one request on to u.
func (s *Handlers) kubeletProxy(r *request.Request, u *url.URL) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport: s.kubelets.transport,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL, p.Out.Host = u, u.Host
			for _, name := range []string{"Authorization", "Cookie", "Origin", "Accept-Encoding"} {
				p.Out.Header.Del(name) // the kubelet does not get the client's credentials
			}
		},
		ModifyResponse: func(resp *http.Response) error {
			if resp.StatusCode == http.StatusSwitchingProtocols {
				return nil
			}
			return kubeletError(r, resp)
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			var status *apierrors.StatusError
			if !errors.As(err, &status) {
				err = unreachable(r.Context(), u.Host, err)
			}
			encode.Error(s.log, w, r, err)
		},
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

// streamTarget is the kubelet's path and parameters for a stream.
func streamTarget(pod *corev1.Pod, subresource string, q url.Values) (string, url.Values, error) {
	where := pod.Namespace + "/" + pod.Name
	out := url.Values{}
	if subresource == "portforward" {
		if ports := q["ports"]; len(ports) > 0 {
			out["port"] = ports
		}
		return "/portForward/" + where, out, nil
	}
	container, err := containerOf(pod, q.Get("container"))
	if err != nil {
		return "", nil, err
	}
	streams := 0
	for mine, kubelets := range map[string]string{"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"} {
		if request.Flag(q, mine) {
			out.Set(kubelets, "1")
			if mine != "tty" {
				streams++
			}
		}
	}
	if streams == 0 {
		return "", nil, apierrors.NewBadRequest("you must specify at least 1 of stdin, stdout, stderr")
	}
	if subresource == "attach" {
		return "/attach/" + where + "/" + container, out, nil
	}
	if len(q["command"]) == 0 {
		return "", nil, apierrors.NewBadRequest("you must specify at least one command for the container")
	}
	out["command"] = q["command"]
	return "/exec/" + where + "/" + container, out, nil
}
