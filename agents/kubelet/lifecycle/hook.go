// Package lifecycle runs commands in containers and the handlers of their lifecycle (postStart, preStop).
package lifecycle

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Handle runs a postStart or preStop handler until it ends or ctx does. nil handler: nothing to do.
func (r Runner) Handle(ctx context.Context, h *corev1.LifecycleHandler, c *corev1.Container, id string, podIP netip.Addr) error {
	switch {
	case h == nil:
		return nil
	case h.Exec != nil:
		out, code, err := r.Exec(ctx, id, h.Exec.Command)
		if err == nil && code != 0 {
			err = fmt.Errorf("command '%s' exited with %d: %s", strings.Join(h.Exec.Command, " "), code, out)
		}
		return err
	case h.HTTPGet != nil:
		return getHook(ctx, h.HTTPGet, c, podIP)
	case h.Sleep != nil:
		t := time.NewTimer(time.Duration(h.Sleep.Seconds) * time.Second)
		defer t.Stop()
		select {
		case <-t.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return fmt.Errorf("invalid handler: neither exec, httpGet nor sleep")
}

// hookClient never follows a redirect (it could lead the node anywhere) and knows no certificate of a pod's.
var hookClient = &http.Client{
	Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // a hook's server has no name to verify
		DisableKeepAlives: true, Proxy: nil,
	},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func getHook(ctx context.Context, get *corev1.HTTPGetAction, c *corev1.Container, podIP netip.Addr) error {
	port, err := hookPort(get.Port, c)
	if err != nil {
		return err
	}
	host := get.Host
	if host == "" {
		host = podIP.String()
	}
	scheme := strings.ToLower(string(get.Scheme))
	if scheme == "" {
		scheme = "http"
	}
	url := fmt.Sprintf("%s://%s/%s", scheme, net.JoinHostPort(host, strconv.Itoa(port)), strings.TrimPrefix(get.Path, "/"))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	for _, h := range get.HTTPHeaders {
		req.Header.Add(h.Name, h.Value)
		if strings.EqualFold(h.Name, "Host") {
			req.Host = h.Value
		}
	}
	resp, err := hookClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxOutput))
	if resp.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("HTTP hook to %s answered %s", url, resp.Status)
	}
	return nil
}

// hookPort is a port by number or by the container's name for it.
func hookPort(p intstr.IntOrString, c *corev1.Container) (int, error) {
	if p.Type == intstr.Int {
		return p.IntValue(), nil
	}
	for _, have := range c.Ports {
		if have.Name == p.StrVal {
			return int(have.ContainerPort), nil
		}
	}
	return 0, fmt.Errorf("couldn't find port %q in container %s", p.StrVal, c.Name)
}
