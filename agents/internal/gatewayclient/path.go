package gatewayclient

import (
	"context"
	"net/http"
)

// GetPath returns the answer to a GET of a path with its query ("/apis/metrics.k8s.io/v1beta1/nodes"), for what is no stored object. An answer
// that is an error is a *registry.Error with the text of its Status.
func (c *Client) GetPath(ctx context.Context, path string) ([]byte, error) {
	return c.do(ctx, call{method: http.MethodGet, url: path})
}

// PostPath is GetPath for a POST of a JSON body.
func (c *Client) PostPath(ctx context.Context, path string, body []byte) ([]byte, error) {
	return c.do(ctx, call{method: http.MethodPost, url: path, body: body})
}
