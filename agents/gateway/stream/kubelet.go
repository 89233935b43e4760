package stream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/agents/gateway/request"
	"gantry/agents/gateway/userinfo"
	"gantry/registry"
	"gantry/registry/admit"
	"gantry/schema"
	"gantry/schema/core"
)

// kubeletPort is the port of a kubelet whose Node names none.
const kubeletPort = 10250

// kubelets connects to the nodes' kubelets. It is the one connection between agents. A URL's host is the node's name: dial
// resolves it, and idle connections are kept by it.
type kubelets struct {
	transport *http.Transport
	tls       *tls.Config
	// own is where this gateway listens; services are the ranges of cluster IPs.
	own      func() netip.AddrPort
	services []netip.Prefix
}

func newKubelets(cfg Config) *kubelets {
	k := &kubelets{
		tls:      &tls.Config{RootCAs: cfg.KubeletCAs, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}},
		own:      cfg.Own,
		services: cfg.Services,
	}
	if len(cfg.Client.Certificate) > 0 {
		k.tls.Certificates = []tls.Certificate{cfg.Client}
	}
	k.transport = &http.Transport{
		DialTLSContext: k.dial,
		// A container's log may be long in coming, but the head of the answer is not.
		ResponseHeaderTimeout: 30 * time.Second,
		MaxIdleConnsPerHost:   4, IdleConnTimeout: 90 * time.Second,
	}
	return k
}

// kubeletDialTime bounds connecting and the TLS handshake.
const kubeletDialTime = 10 * time.Second

// kubeletKey is the context's key of the *corev1.Node whose kubelet is asked.
type kubeletKey struct{}

// dial connects with the kubelet of the context's node. The node itself wrote where that is, so whoever answers must show the
// node's certificate, for that address, before anything is sent.
func (k *kubelets) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	node := ctx.Value(kubeletKey{}).(*corev1.Node)
	to, err := k.address(node)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, kubeletDialTime)
	defer cancel()
	raw, err := (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext(ctx, network, to.String())
	if err != nil {
		return nil, err
	}
	t := k.tls.Clone()
	t.ServerName = to.Addr().String()
	t.VerifyConnection = func(s tls.ConnectionState) error { return isKubelet(s.PeerCertificates, node.Name) }
	conn := tls.Client(raw, t)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	return conn, nil
}

// isKubelet returns an error unless a verified chain is that of a node's kubelet.
func isKubelet(chain []*x509.Certificate, node string) error {
	if len(chain) > 0 && chain[0].Subject.CommonName == userinfo.PrefixNode+node && slices.Contains(chain[0].Subject.Organization, userinfo.GroupNodes) {
		return nil
	}
	return fmt.Errorf("the certificate is not that of %s%s in %s", userinfo.PrefixNode, node, userinfo.GroupNodes)
}

// address is that of a node's kubelet by its status: the first internal one. One that leads back into this machine, to this
// gateway or a service, or to a cloud's metadata is refused.
func (k *kubelets) address(node *corev1.Node) (netip.AddrPort, error) {
	port := node.Status.DaemonEndpoints.KubeletEndpoint.Port
	if port == 0 {
		port = kubeletPort
	}
	if port < 1 || port > 65535 {
		return netip.AddrPort{}, fmt.Errorf("port %d of node %q is not allowed", port, node.Name)
	}
	for _, a := range node.Status.Addresses {
		if a.Type != corev1.NodeInternalIP {
			continue
		}
		addr, err := netip.ParseAddr(a.Address)
		if err != nil {
			continue
		}
		to := netip.AddrPortFrom(addr.Unmap(), uint16(port))
		if !k.allowed(to) {
			return netip.AddrPort{}, fmt.Errorf("address %s of node %q is not allowed", to, node.Name)
		}
		return to, nil
	}
	return netip.AddrPort{}, fmt.Errorf("no preferred addresses found; known addresses: %v", node.Status.Addresses)
}

func (k *kubelets) allowed(to netip.AddrPort) bool {
	addr := to.Addr()
	switch {
	case addr.Zone() != "":
		return false
	case addr.IsLoopback():
		// A gateway that is itself on loopback is that of one machine, whose nodes may be there too.
		return k.own().Addr().IsLoopback() && to.Port() != k.own().Port()
	case to.Port() == k.own().Port() && (addr == k.own().Addr() || ownAddress(addr)):
		return false
	}
	return addr.IsGlobalUnicast() && !slices.ContainsFunc(k.services, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// ownAddress returns whether an address is one of this machine.
func ownAddress(addr netip.Addr) bool {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return true // what cannot be found out is refused
	}
	return slices.ContainsFunc(all, func(a net.Addr) bool {
		p, err := netip.ParsePrefix(a.String())
		return err == nil && p.Addr().Unmap() == addr
	})
}

// kubeletOf prepares a request to the kubelet of a pod's node: its URL, without a path, and its context.
func (s *Handlers) kubeletOf(ctx context.Context, nodeName string) (context.Context, *url.URL, error) {
	node, err := Find[*corev1.Node](ctx, s.reg, core.Node, "", nodeName)
	if err != nil {
		return nil, nil, err
	}
	return context.WithValue(ctx, kubeletKey{}, node), &url.URL{Scheme: "https", Host: nodeName}, nil
}

// AskKubelet returns the body of a kubelet's answer to a GET of a path. Another answer than 200, or one of more than limit bytes, is an error,
// whose text is for the log.
func (s *Handlers) AskKubelet(ctx context.Context, node *corev1.Node, path string, limit int64) ([]byte, error) {
	u := url.URL{Scheme: "https", Host: node.Name, Path: path}
	req, err := http.NewRequestWithContext(context.WithValue(ctx, kubeletKey{}, node), http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := s.kubelets.transport.RoundTrip(req) // not a Client: redirects are never followed
	if err != nil {
		return nil, fmt.Errorf("asking the kubelet of node %q: %w", node.Name, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("asking the kubelet of node %q for %s: %s", node.Name, path, resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the answer of the kubelet of node %q: %w", node.Name, err)
	case int64(len(body)) > limit:
		return nil, fmt.Errorf("the answer of the kubelet of node %q has more than %d bytes", node.Name, limit)
	}
	return body, nil
}

// unreachableError is that a kubelet could not be reached. Its text is for the log; a client gets no more than that, or a node
// could probe the network through the gateway by writing one address after the other.
type unreachableError struct {
	node  string
	cause error
}

// unreachable is the error of a request to a node's kubelet that got no answer.
func unreachable(ctx context.Context, node string, cause error) error {
	if ctx.Err() != nil {
		return ctx.Err() // the client has left
	}
	return &unreachableError{node, cause}
}

func (e *unreachableError) Error() string {
	return fmt.Sprintf("asking the kubelet of node %q: %v", e.node, e.cause)
}

// Unwrap is the error that the client gets.
func (e *unreachableError) Unwrap() error {
	return apierrors.NewInternalError(fmt.Errorf("error dialing backend: the kubelet of node %q cannot be reached", e.node))
}

// podOf reads the pod that a stream is about.
func (s *Handlers) podOf(ctx context.Context, r *request.Request) (*corev1.Pod, error) {
	item, err := s.reg.Get(ctx, r.Kind, r.Scope(), r.Name, "")
	if err != nil {
		return nil, err
	}
	return item.Object().(*corev1.Pod), nil
}

// containerOf is the container that a request names, or the only one.
func containerOf(pod *corev1.Pod, name string) (string, error) {
	var plain, first, ephemeral []string
	for _, c := range pod.Spec.Containers {
		plain = append(plain, c.Name)
	}
	for _, c := range pod.Spec.InitContainers {
		first = append(first, c.Name)
	}
	for _, c := range pod.Spec.EphemeralContainers {
		ephemeral = append(ephemeral, c.Name)
	}
	if name == "" {
		if len(plain) == 1 {
			return plain[0], nil
		}
		text := fmt.Sprintf("a container name must be specified for pod %s", pod.Name)
		if len(plain) > 0 {
			text += fmt.Sprintf(", choose one of: %v", plain)
			if len(first) > 0 {
				text += fmt.Sprintf(" or one of the init containers: %v", first)
			}
		}
		return "", apierrors.NewBadRequest(text)
	}
	for _, names := range [][]string{plain, first, ephemeral} {
		for _, n := range names {
			if n == name {
				return name, nil
			}
		}
	}
	return "", apierrors.NewBadRequest(fmt.Sprintf("container %s is not valid for pod %s", name, pod.Name))
}

// getter reads single objects.
type getter interface {
	Get(ctx context.Context, k *schema.Kind, namespace, name, revision string) (*registry.Item, error)
}

// reader reads single objects of the registry, and admits connections.
type reader interface {
	getter
	Admit(ctx context.Context, op admit.Operation, k *schema.Kind, namespace, name string, body runtime.Object, check func() error, o registry.WriteOptions) error
}
