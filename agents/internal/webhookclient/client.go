// Package webhookclient posts to webhooks: at a URL, or at a Service, whose ready endpoints are connected to directly, so that a machine
// without proxy reaches them too.
package webhookclient

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"gantry/agents/internal/clientpool"
	"gantry/registry/admit/webhooks"
)

// Client is a webhooks.Caller. The zero value is ready.
type Client struct {
	clients clientpool.Pool[trust, *http.Client]
}

var _ webhooks.Caller = (*Client)(nil)

// trust is what a connection's certificate must be for; connections of equal trust are shared.
type trust struct {
	ca   [sha256.Size]byte
	name string
}

// maxAnswer bounds an answer in bytes: etcd takes no larger object.
const maxAnswer = 8 << 20

// Post posts a body and returns the body of the answer. Redirects are not followed.
func (c *Client) Post(ctx context.Context, read webhooks.Finder, to *admissionv1.WebhookClientConfig, body []byte) ([]byte, error) {
	u, host, err := urlOf(to)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		query := u.Query()
		query.Set("timeout", ((left + time.Second - 1) / time.Second * time.Second).String())
		u.RawQuery = query.Encode()
	}
	if to.Service != nil {
		ctx = context.WithValue(ctx, dialKey{}, func(ctx context.Context) (string, error) { return endpointOf(ctx, read, to.Service) })
	}
	client, err := c.clientFor(to.CABundle, host)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "gantry")
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(answer) > maxAnswer {
		return nil, fmt.Errorf("the answer is larger than %d bytes", maxAnswer)
	}
	if res.StatusCode != http.StatusOK {
		return nil, apierrors.NewGenericServerResponse(res.StatusCode, "post", kschema.GroupResource{}, "", strings.TrimSpace(string(answer[:min(len(answer), 1024)])), 0, true)
	}
	return answer, nil
}

// urlOf is the URL of a webhook and the name that its certificate is for.
func urlOf(to *admissionv1.WebhookClientConfig) (u *url.URL, host string, err error) {
	switch {
	case to.URL != nil:
		if u, err = url.Parse(*to.URL); err != nil {
			return nil, "", err
		}
		if u.Scheme != "https" {
			return nil, "", fmt.Errorf("the url %q of the webhook does not begin with https", *to.URL)
		}
		return u, u.Hostname(), nil
	case to.Service != nil:
		s := to.Service
		host, port := s.Name+"."+s.Namespace+".svc", int32(443)
		if s.Port != nil {
			port = *s.Port
		}
		u = &url.URL{Scheme: "https", Host: fmt.Sprintf("%s:%d", host, port)}
		if s.Path != nil {
			u.Path = *s.Path
		}
		return u, host, nil
	}
	return nil, "", errors.New("the webhook has neither url nor service")
}

func (c *Client) clientFor(ca []byte, host string) (*http.Client, error) {
	return c.clients.Get(trust{sha256.Sum256(ca), host}, func() (*http.Client, error) {
		conf := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
		if len(ca) > 0 {
			var err error
			if conf.RootCAs, err = clientpool.Roots(ca); err != nil {
				return nil, err
			}
		}
		return &http.Client{
			Transport: &http.Transport{
				DialContext: dial, TLSClientConfig: conf, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second,
				MaxIdleConnsPerHost: 16, IdleConnTimeout: 90 * time.Second, MaxResponseHeaderBytes: 64 << 10,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}, nil
	})
}

type dialKey struct{}

// dial connects to the address that the request's context finds, or to the URL's.
func dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if find, ok := ctx.Value(dialKey{}).(func(context.Context) (string, error)); ok {
		var err error
		if addr, err = find(ctx); err != nil {
			return nil, err
		}
	}
	return (&net.Dialer{Timeout: 30 * time.Second}).DialContext(ctx, network, addr)
}
