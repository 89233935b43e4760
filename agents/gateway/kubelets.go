package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"gantry/registry"
	"gantry/schema/core"
)

// kubeletPort is where a kubelet listens that does not say otherwise.
const kubeletPort = 10250

// kubelets is how the nodes' kubelets are reached: the one edge between agents.
type kubelets struct {
	transport *http.Transport
	loopback  bool // this gateway is itself on loopback, so its nodes may be
}

func newKubelets(cfg Config) kubelets {
	t := &tls.Config{RootCAs: cfg.KubeletCAs, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	if len(cfg.KubeletClient.Certificate) > 0 {
		t.Certificates = []tls.Certificate{cfg.KubeletClient}
	}
	return kubelets{
		transport: &http.Transport{
			TLSClientConfig:     t,
			DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout: 10 * time.Second,
			// A container's log may be long in coming, but the head of the answer is not.
			ResponseHeaderTimeout: 30 * time.Second,
			MaxIdleConnsPerHost:   4, IdleConnTimeout: 90 * time.Second,
			TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}, // connections are upgraded: HTTP/1.1 only
		},
		loopback: cfg.AdvertiseAddress.IsLoopback(),
	}
}

// kubeletOf is the address of the kubelet of a pod's node.
func (g *gateway) kubeletOf(ctx context.Context, nodeName string) (*url.URL, error) {
	item, err := g.reg.Get(ctx, core.Node, "", nodeName, "0")
	if errors.Is(err, registry.NotFound) {
		item, err = g.reg.Get(ctx, core.Node, "", nodeName, "")
	}
	if err != nil {
		return nil, err
	}
	host, err := kubeletAddress(item.Object().(*corev1.Node), g.loopback)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	return &url.URL{Scheme: "https", Host: host}, nil
}

// kubeletAddress is where a node says its kubelet is. A node writes its own addresses, so those that would lead a
// request back into this machine or to a cloud's metadata are refused.
func kubeletAddress(node *corev1.Node, loopback bool) (string, error) {
	port := int(node.Status.DaemonEndpoints.KubeletEndpoint.Port)
	if port == 0 {
		port = kubeletPort
	}
	for _, a := range node.Status.Addresses {
		if a.Type != corev1.NodeInternalIP {
			continue
		}
		addr, err := netip.ParseAddr(a.Address)
		if err != nil {
			continue
		}
		addr = addr.Unmap()
		if addr.IsUnspecified() || addr.IsMulticast() || addr.IsLinkLocalUnicast() || addr.Zone() != "" || addr.IsLoopback() && !loopback {
			return "", fmt.Errorf("address %s of node %q is not allowed", addr, node.Name)
		}
		return net.JoinHostPort(addr.String(), strconv.Itoa(port)), nil
	}
	return "", fmt.Errorf("no preferred addresses found; known addresses: %v", node.Status.Addresses)
}

// podOf reads the pod that a stream is about.
func (g *gateway) podOf(ctx context.Context, r *request) (*corev1.Pod, error) {
	item, err := g.reg.Get(ctx, r.kind, r.scope(), r.name, "")
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
