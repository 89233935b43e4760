package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// maxAnswer bounds how much of an answer is read and shown, in bytes.
const maxAnswer = 10 << 10

// once asks a container once; message says why it failed.
func (p *Prober) once(ctx context.Context, t *target, spec *corev1.Probe) (ok bool, message string) {
	timeout := time.Duration(max(spec.TimeoutSeconds, 1)) * time.Second
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	switch {
	case spec.Exec != nil:
		return p.askExec(ctx, t, spec.Exec.Command, timeout)
	case spec.HTTPGet != nil:
		return askHTTP(ctx, t, spec.HTTPGet)
	case spec.TCPSocket != nil:
		return askTCP(ctx, t, spec.TCPSocket)
	case spec.GRPC != nil:
		return askGRPC(ctx, t, spec.GRPC, timeout)
	}
	return false, "the probe has no action"
}

func (p *Prober) askExec(ctx context.Context, t *target, command []string, timeout time.Duration) (bool, string) {
	out, code, err := p.cfg.Exec(ctx, t.ID, command)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return false, fmt.Sprintf("command timed out: %q timed out after %s", strings.Join(command, " "), timeout)
	case err != nil:
		return false, err.Error()
	}
	return code == 0, string(out[:min(len(out), maxAnswer)])
}

func askHTTP(ctx context.Context, t *target, a *corev1.HTTPGetAction) (bool, string) {
	req, err := httpRequest(ctx, t, a)
	if err != nil {
		return false, err.Error()
	}
	client := &http.Client{
		Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // as Kubernetes: a probe asks for life, not identity
			DisableKeepAlives: true, DisableCompression: true, Proxy: nil,
		},
		// A redirect to another host counts as success and is not followed: it could lead anywhere (SSRF).
		CheckRedirect: func(next *http.Request, via []*http.Request) error {
			if next.URL.Hostname() != req.URL.Hostname() || len(via) >= 10 {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
	resp, err := client.Do(req)
	if err != nil {
		return false, err.Error()
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer) // only the status counts
	if resp.StatusCode >= 200 && resp.StatusCode < 400 {
		return true, ""
	}
	return false, fmt.Sprintf("HTTP probe failed with statuscode: %d", resp.StatusCode)
}

func httpRequest(ctx context.Context, t *target, a *corev1.HTTPGetAction) (*http.Request, error) {
	port, err := portOf(t.Container, a.Port)
	if err != nil {
		return nil, err
	}
	host := a.Host
	if host == "" {
		host = t.IP.String()
	}
	path, err := url.Parse(a.Path)
	if err != nil {
		path = &url.URL{Path: a.Path}
	}
	u := url.URL{Scheme: "http", Host: net.JoinHostPort(host, strconv.Itoa(port)), Path: path.Path, RawQuery: path.RawQuery}
	if a.Scheme == corev1.URISchemeHTTPS {
		u.Scheme = "https"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "kube-probe/1.36")
	req.Header.Set("Accept", "*/*")
	for _, h := range a.HTTPHeaders {
		if http.CanonicalHeaderKey(h.Name) == "Host" {
			req.Host = h.Value
			continue
		}
		if req.Header.Get(h.Name) == "*/*" || http.CanonicalHeaderKey(h.Name) == "User-Agent" {
			req.Header.Set(h.Name, h.Value)
			continue
		}
		req.Header.Add(h.Name, h.Value)
	}
	return req, nil
}

func askTCP(ctx context.Context, t *target, a *corev1.TCPSocketAction) (bool, string) {
	port, err := portOf(t.Container, a.Port)
	if err != nil {
		return false, err.Error()
	}
	host := a.Host
	if host == "" {
		host = t.IP.String()
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return false, err.Error()
	}
	conn.Close()
	return true, ""
}

func askGRPC(ctx context.Context, t *target, a *corev1.GRPCAction, timeout time.Duration) (bool, string) {
	service := ""
	if a.Service != nil {
		service = *a.Service
	}
	addr := net.JoinHostPort(t.IP.String(), strconv.Itoa(int(a.Port)))
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithUserAgent("kube-probe/1.36"))
	if err != nil {
		return false, err.Error()
	}
	defer conn.Close()
	resp, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
	switch {
	case status.Code(err) == codes.Unimplemented:
		return false, fmt.Sprintf("this server does not implement the grpc health protocol (grpc.health.v1.Health): %s", status.Convert(err).Message())
	case status.Code(err) == codes.DeadlineExceeded:
		return false, fmt.Sprintf("timeout: health rpc did not complete within %s", timeout)
	case err != nil:
		return false, fmt.Sprintf("error: health rpc failed: %v", err)
	case resp.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING:
		return false, fmt.Sprintf("service unhealthy (responded with %q)", resp.GetStatus())
	}
	return true, ""
}

// portOf is a probe's port: a number, or the name of one of the container's.
func portOf(c *corev1.Container, port intstr.IntOrString) (int, error) {
	if port.Type == intstr.Int {
		return port.IntValue(), nil
	}
	for _, p := range c.Ports {
		if p.Name == port.StrVal {
			return int(p.ContainerPort), nil
		}
	}
	return 0, fmt.Errorf("couldn't find port: %v in container %q", port.String(), c.Name)
}
