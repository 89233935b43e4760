package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"

	"gantry/agents/gateway/request"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
)

// backend is where a proxied request goes.
type backend struct {
	ctx       context.Context // the request's, with what transport needs
	url       *url.URL
	transport http.RoundTripper
	// kubelet: it is a node's kubelet, which is shown the gateway's certificate; url's host is the node's name.
	kubelet bool
}

// flushInterval is how long a part of an answer of a known length waits for more.
const flushInterval = 200 * time.Millisecond

// newBackendTransport connects to pods and to ports of nodes. What they serve has no certificate that could be checked, and gets
// none of the gateway's.
func newBackendTransport() *http.Transport {
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: true},
		TLSHandshakeTimeout: 10 * time.Second,
		DisableCompression:  true,
		MaxIdleConnsPerHost: 4, IdleConnTimeout: 90 * time.Second,
		MaxResponseHeaderBytes: 1 << 20,
	}
}

// backendOf finds what a request's name stands for: "name", "name:port" or "scheme:name:port".
func (s *Handlers) backendOf(r *request.Request) (*backend, error) {
	scheme, name, port, ok := utilnet.SplitSchemeNamePort(r.Name)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("invalid %s request %q", r.Kind.Singular, r.Name))
	}
	if scheme == "" {
		scheme = "http"
	}
	if r.Kind == core.Node {
		return s.nodeBackend(r, scheme, name, port)
	}
	addr, port, err := s.podAddress(r, name, port)
	if err != nil {
		return nil, err
	}
	return s.backendAt(r, scheme, addr, port)
}

// podAddress is the address of a pod, or of one behind a service, and the port there.
func (s *Handlers) podAddress(r *request.Request, name, port string) (addr, at string, err error) {
	if r.Kind == core.Service {
		return s.endpointOf(r, name, port)
	}
	pod, err := Find[*corev1.Pod](r.Context(), s.reg, core.Pod, r.Scope(), name)
	if err != nil {
		return "", "", err
	}
	if port == "" {
		port = firstPort(pod)
	}
	addr = pod.Status.PodIP
	if len(pod.Status.PodIPs) > 0 {
		addr = pod.Status.PodIPs[0].IP
	}
	return addr, port, nil
}

// firstPort is the first that a pod names, "" where it names none.
func firstPort(pod *corev1.Pod) string {
	for _, c := range pod.Spec.Containers {
		if len(c.Ports) > 0 {
			return strconv.Itoa(int(c.Ports[0].ContainerPort))
		}
	}
	return ""
}

// endpointOf picks one of a service's endpoints. port is a number of the service or the name of a port.
func (s *Handlers) endpointOf(r *request.Request, name, port string) (addr, at string, err error) {
	if number, err := strconv.ParseInt(port, 10, 64); err == nil {
		service, err := Find[*corev1.Service](r.Context(), s.reg, core.Service, r.Scope(), name)
		if err != nil {
			return "", "", err
		}
		i := slices.IndexFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return int64(p.Port) == number })
		if i < 0 {
			return "", "", apierrors.NewServiceUnavailable(fmt.Sprintf("no service port %d found for service %q", number, name))
		}
		port = service.Spec.Ports[i].Name
	}
	endpoints, err := Find[*corev1.Endpoints](r.Context(), s.reg, core.Endpoints, r.Scope(), name)
	if errors.Is(err, registry.NotFound) {
		err = apierrors.NewNotFound(r.GR(), name)
	}
	if err != nil {
		return "", "", err
	}
	if len(endpoints.Subsets) == 0 {
		return "", "", apierrors.NewServiceUnavailable(fmt.Sprintf("no endpoints available for service %q", name))
	}
	for _, i := range rand.Perm(len(endpoints.Subsets)) {
		subset := &endpoints.Subsets[i]
		p := slices.IndexFunc(subset.Ports, func(p corev1.EndpointPort) bool { return p.Name == port })
		if p < 0 {
			continue
		}
		for _, j := range rand.Perm(len(subset.Addresses)) {
			if a := &subset.Addresses[j]; s.isOfPod(r, a) {
				return a.IP, strconv.Itoa(int(subset.Ports[p].Port)), nil
			}
		}
	}
	return "", "", apierrors.NewServiceUnavailable(fmt.Sprintf("no endpoints available for service %q", r.Name))
}

// isOfPod tells whether an endpoint is a pod of the request's namespace and has that pod's address: others are written by hand, and
// would lead a client of the gateway anywhere.
func (s *Handlers) isOfPod(r *request.Request, a *corev1.EndpointAddress) bool {
	if a.TargetRef == nil || a.TargetRef.Namespace != r.Scope() {
		return false
	}
	item, err := s.reg.Get(r.Context(), core.Pod, r.Scope(), a.TargetRef.Name, "0")
	if err != nil {
		return false
	}
	return slices.ContainsFunc(item.Object().(*corev1.Pod).Status.PodIPs, func(p corev1.PodIP) bool { return p.IP == a.IP })
}

// nodeBackend is a node's kubelet, or another port of the node.
func (s *Handlers) nodeBackend(r *request.Request, scheme, name, port string) (*backend, error) {
	ctx, u, err := s.kubeletOf(r.Context(), name)
	if err != nil {
		return nil, err
	}
	at, err := s.kubelets.address(ctx.Value(kubeletKey{}).(*corev1.Node))
	if err != nil {
		return nil, unreachable(ctx, name, err)
	}
	if port == "" || port == strconv.Itoa(int(at.Port())) {
		return &backend{ctx: ctx, url: u, transport: s.kubelets.transport, kubelet: true}, nil
	}
	return s.backendAt(r, scheme, at.Addr().String(), port)
}

// backendAt is the backend at an address; port may be "". What leads back into this machine or the cluster's own network is refused.
func (s *Handlers) backendAt(r *request.Request, scheme, addr, port string) (*backend, error) {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return nil, apierrors.NewBadRequest("address not allowed")
	}
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[scheme]
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("invalid %s request %q", r.Kind.Singular, r.Name))
	}
	to := netip.AddrPortFrom(ip.Unmap(), uint16(number))
	if to.Addr().IsLoopback() || !s.kubelets.allowed(to) {
		return nil, apierrors.NewBadRequest("address not allowed")
	}
	return &backend{ctx: r.Context(), url: &url.URL{Scheme: scheme, Host: to.String()}, transport: s.backends}, nil
}

// Find reads an object: from the cache, or from etcd where the cache has none.
func Find[T schema.Object](ctx context.Context, reg getter, k *schema.Kind, namespace, name string) (obj T, err error) {
	item, err := reg.Get(ctx, k, namespace, name, "0")
	if errors.Is(err, registry.NotFound) {
		item, err = reg.Get(ctx, k, namespace, name, "")
	}
	if err != nil {
		return obj, err
	}
	return item.Object().(T), nil
}
