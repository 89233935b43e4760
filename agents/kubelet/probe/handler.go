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

// maxOutput bounds how much of a response or output is read and shown, in bytes.
const maxOutput = 10 << 10

// result is that of one probe. A warning comes with success. err is set where the result is unknown: the container
// could not be probed.
type result struct {
	ok               bool
	message, warning string
	err              error
}

func success() result               { return result{ok: true} }
func failure(message string) result { return result{message: message} }
func unknown(err error) result      { return result{err: err} }

// maxTries is how often a probe whose result is unknown is run.
const maxTries = 3

// runWithRetries probes a container, again at once where the result is unknown.
func (p *Prober) runWithRetries(ctx context.Context, t *target, spec *corev1.Probe) (a result) {
	for range maxTries {
		if a = p.run(ctx, t, spec); a.err == nil || ctx.Err() != nil {
			break
		}
	}
	return a
}

// run probes a container once.
func (p *Prober) run(ctx context.Context, t *target, spec *corev1.Probe) result {
	timeout := time.Duration(max(spec.TimeoutSeconds, 1)) * time.Second
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	switch {
	case spec.Exec != nil:
		return p.probeExec(ctx, t, spec.Exec.Command, timeout)
	case spec.HTTPGet != nil:
		return probeHTTP(ctx, t, spec.HTTPGet)
	case spec.TCPSocket != nil:
		return probeTCP(ctx, t, spec.TCPSocket)
	case spec.GRPC != nil:
		return probeGRPC(ctx, t, spec.GRPC, timeout)
	}
	return unknown(fmt.Errorf("missing probe handler for %s_%s(%s):%s", t.Pod.Name, t.Pod.Namespace, t.Pod.UID, t.Container.Name))
}

func (p *Prober) probeExec(ctx context.Context, t *target, command []string, timeout time.Duration) result {
	out, code, err := p.cfg.Exec(ctx, t.ID, command)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return failure(fmt.Sprintf("command timed out: %q timed out after %s", strings.Join(command, " "), timeout))
	case err != nil:
		return unknown(err)
	case code != 0:
		return failure(string(out[:min(len(out), maxOutput)]))
	}
	return success()
}

// maxRedirects is how many redirects on one host a probe follows.
const maxRedirects = 10

// followOnHost follows redirects on the probed host. One to another host could lead anywhere (SSRF): it ends the probe, which
// counts as success with a warning. A chain that does not end is a failure.
func followOnHost(next *http.Request, via []*http.Request) error {
	if next.URL.Hostname() != via[0].URL.Hostname() {
		return http.ErrUseLastResponse
	}
	if len(via) >= maxRedirects {
		return fmt.Errorf("stopped after %d redirects", maxRedirects)
	}
	return nil
}

func probeHTTP(ctx context.Context, t *target, a *corev1.HTTPGetAction) result {
	req, err := httpRequest(ctx, t, a)
	if err != nil {
		return unknown(err)
	}
	client := &http.Client{
		Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // as Kubernetes: a probe does not verify identity
			DisableKeepAlives: true, DisableCompression: true, Proxy: nil,
		},
		CheckRedirect: followOnHost,
	}
	resp, err := client.Do(req)
	if err != nil {
		return failure(err.Error())
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxOutput))
	switch {
	case err != nil:
		return unknown(err)
	case resp.StatusCode < 200 || resp.StatusCode >= 400:
		return failure(fmt.Sprintf("HTTP probe failed with statuscode: %d", resp.StatusCode))
	case resp.StatusCode >= 300:
		return result{ok: true, warning: "Probe terminated redirects, Response body: " + string(body)}
	}
	return success()
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

func probeTCP(ctx context.Context, t *target, a *corev1.TCPSocketAction) result {
	port, err := portOf(t.Container, a.Port)
	if err != nil {
		return unknown(err)
	}
	host := a.Host
	if host == "" {
		host = t.IP.String()
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return failure(err.Error())
	}
	conn.Close()
	return success()
}

func probeGRPC(ctx context.Context, t *target, a *corev1.GRPCAction, timeout time.Duration) result {
	service := ""
	if a.Service != nil {
		service = *a.Service
	}
	addr := net.JoinHostPort(t.IP.String(), strconv.Itoa(int(a.Port)))
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithUserAgent("kube-probe/1.36"))
	if err != nil {
		return failure(err.Error())
	}
	defer conn.Close()
	resp, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
	switch {
	case status.Code(err) == codes.Unimplemented:
		return failure(fmt.Sprintf("this server does not implement the grpc health protocol (grpc.health.v1.Health): %s", status.Convert(err).Message()))
	case status.Code(err) == codes.DeadlineExceeded:
		return failure(fmt.Sprintf("timeout: health rpc did not complete within %s", timeout))
	case err != nil:
		return failure(fmt.Sprintf("error: health rpc failed: %v", err))
	case resp.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING:
		return failure(fmt.Sprintf("service unhealthy (responded with %q)", resp.GetStatus()))
	}
	return success()
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
