// Package extensionclient connects to extension servers, which the services of API services lead to. It shows them the certificate of the
// front proxy and names in headers on whose behalf it asks.
package extensionclient

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	registrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"k8s.io/utils/ptr"

	"gantry/agents/internal/clientpool"
)

// Client has the connections to extension servers. It is safe for concurrent use.
type Client struct {
	// Certificate is that of the front proxy; without one, extension servers take every request for an anonymous one.
	Certificate tls.Certificate

	transports clientpool.Pool[trust, *http.Transport]
}

// CommonName is that of the front proxy's certificate, by which extension servers know it.
const CommonName = "front-proxy-client"

// trust is what a connection's certificate must be for; connections of equal trust are shared.
type trust struct {
	ca       [sha256.Size]byte
	name     string
	insecure bool
	http1    bool
}

const (
	dialTimeout = 30 * time.Second
	// maxDocument bounds what Get reads, in bytes.
	maxDocument = 8 << 20
)

// Port is the port of an API service's service.
func Port(s *registrationv1.ServiceReference) int32 { return ptr.Deref(s.Port, 443) }

// Transport connects to an API service's endpoints, whose addresses are the hosts of requests. http1 is for connections that change their
// protocol.
func (c *Client) Transport(spec *registrationv1.APIServiceSpec, http1 bool) (*http.Transport, error) {
	key := trust{sha256.Sum256(spec.CABundle), spec.Service.Name + "." + spec.Service.Namespace + ".svc", spec.InsecureSkipTLSVerify, http1}
	return c.transports.Get(key, func() (*http.Transport, error) {
		conf := &tls.Config{ServerName: key.name, MinVersion: tls.VersionTLS12, InsecureSkipVerify: key.insecure}
		if len(c.Certificate.Certificate) > 0 {
			conf.Certificates = []tls.Certificate{c.Certificate}
		}
		if bundle := bytes.TrimSpace(spec.CABundle); len(bundle) > 0 {
			var err error
			if conf.RootCAs, err = clientpool.Roots(bundle); err != nil {
				return nil, err
			}
		}
		return &http.Transport{
			DialContext:     (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
			TLSClientConfig: conf, ForceAttemptHTTP2: !http1, TLSHandshakeTimeout: 10 * time.Second, DisableCompression: true,
			MaxIdleConnsPerHost: 25, IdleConnTimeout: 90 * time.Second, MaxResponseHeaderBytes: 1 << 20,
		}, nil
	})
}

// Get is what an extension server answers to a GET of a path in JSON, on behalf of the aggregator itself. address is one of its endpoints. An
// answer without success is an error, worded as Kubernetes does.
func (c *Client) Get(ctx context.Context, spec *registrationv1.APIServiceSpec, address, path string) ([]byte, error) {
	a, err := c.GetChanged(ctx, spec, address, path, "")
	if err == nil && (a.Code < http.StatusOK || a.Code >= http.StatusMultipleChoices) {
		u := url.URL{Scheme: "https", Host: address, Path: path}
		err = fmt.Errorf("failing or missing response from %s: bad status from %s: %d", &u, &u, a.Code)
	}
	if err != nil {
		return nil, err
	}
	return a.Body, nil
}

// Answer is what an extension server answered.
type Answer struct {
	Code int
	ETag string
	Body []byte
}

// GetChanged is Get of a document that the client may have under an ETag: the code is 304 then. An answer without success is none of its errors.
func (c *Client) GetChanged(ctx context.Context, spec *registrationv1.APIServiceSpec, address, path, etag string) (Answer, error) {
	t, err := c.Transport(spec, false)
	if err != nil {
		return Answer{}, err
	}
	u := url.URL{Scheme: "https", Host: address, Path: path}
	failure := func(err error) (Answer, error) {
		t.CloseIdleConnections()
		return Answer{}, fmt.Errorf("failing or missing response from %s: %w", &u, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return Answer{}, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "gantry")
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	SetUser(req.Header, &aggregator)
	res, err := t.RoundTrip(req) // which follows no redirect
	if err != nil {
		return failure(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxDocument+1))
	if err != nil {
		return failure(err)
	}
	if len(data) > maxDocument {
		return failure(fmt.Errorf("the answer is larger than %d bytes", maxDocument))
	}
	return Answer{res.StatusCode, res.Header.Get("ETag"), data}, nil
}
