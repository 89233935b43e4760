package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// server is one of the two sides.
type server struct {
	name   string
	base   *url.URL
	client *http.Client
}

// request is what is sent; path includes the query.
type request struct {
	method, path string
	header       http.Header
	body         []byte
}

// response is what came back, as bytes.
type response struct {
	code   int
	header http.Header
	body   []byte
}

const requestTimeout = 30 * time.Second

func newServer(name, base string, cert tls.Certificate) *server {
	u, err := url.Parse(base)
	if err != nil {
		panic(err) // made from a port
	}
	t := &http.Transport{
		TLSClientConfig:    &tls.Config{Certificates: []tls.Certificate{cert}, InsecureSkipVerify: true}, // loopback, own children
		DisableCompression: true, MaxIdleConnsPerHost: 16, ForceAttemptHTTP2: true,
	}
	return &server{name: name, base: u, client: &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// do sends r; an answer of any code is no error.
func (s *server) do(ctx context.Context, r request) (*response, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	// Paths are sent as they are written, valid or not.
	path, query, _ := strings.Cut(r.path, "?")
	u := *s.base
	u.Opaque = "//" + s.base.Host + path
	u.RawQuery = query
	req, err := http.NewRequestWithContext(ctx, r.method, s.base.String(), bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	req.URL = &u
	if r.header != nil {
		req.Header = r.header.Clone()
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "oracle")
	}
	res, err := s.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %s %s: %w", s.name, r.method, r.path, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		return nil, fmt.Errorf("%s: %s %s: reading the answer: %w", s.name, r.method, r.path, err)
	}
	return &response{code: res.StatusCode, header: res.Header, body: body}, nil
}

func (s *server) ready(timeout time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	res, err := s.do(ctx, request{method: "GET", path: "/readyz"})
	return err == nil && res.code == http.StatusOK
}
