package gatewayclient

import (
	"context"
	"io"
	"net/http"

	"gantry/registry"
)

// The forms of objects of which only the metadata is sent. A server that does not know them sends whole objects.
const (
	metadataType     = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
	metadataListType = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
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

// GetMetadata is GetPath of an object, as a PartialObjectMetadata.
func (c *Client) GetMetadata(ctx context.Context, path string) ([]byte, error) {
	return c.do(ctx, call{method: http.MethodGet, url: path, accept: metadataType})
}

// ListMetadata is GetPath of a list, as a PartialObjectMetadataList.
func (c *Client) ListMetadata(ctx context.Context, path string) ([]byte, error) {
	return c.do(ctx, call{method: http.MethodGet, url: path, accept: metadataListType})
}

// DeletePath is GetPath for a DELETE with DeleteOptions.
func (c *Client) DeletePath(ctx context.Context, path string, options []byte) ([]byte, error) {
	return c.do(ctx, call{method: http.MethodDelete, url: path, body: options})
}

// PatchPath is GetPath for a merge patch.
func (c *Client) PatchPath(ctx context.Context, path string, patch []byte) ([]byte, error) {
	return c.do(ctx, call{method: http.MethodPatch, url: path, body: patch, contentType: "application/merge-patch+json"})
}

// WatchMetadata begins a watch, whose events have PartialObjectMetadata. The caller closes it; it ends with ctx. The gateway that answered last is
// asked.
func (c *Client) WatchMetadata(ctx context.Context, path string) (io.ReadCloser, error) {
	cl := call{method: http.MethodGet, url: path, accept: metadataType}
	if len(c.servers) == 0 {
		return nil, cl.errorOf(registry.Unavailable, errNoGateway)
	}
	server := c.servers[c.current.Load()]
	req, err := c.request(ctx, server, cl)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, cl.errorOf(registry.Unavailable, err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		if err != nil {
			return nil, cl.errorOf(registry.Unavailable, err)
		}
		return nil, cl.statusError(resp, data)
	}
	return resp.Body, nil
}
