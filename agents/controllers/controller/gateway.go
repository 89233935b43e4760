package controller

import (
	"context"
	"io"
)

// Gateway asks a gateway for what is not stored in etcd: metrics, reviews of what a user may do, and the objects of extension servers. An error says
// that no gateway answered, or has the text of the Status that one answered and is a *registry.Error of its kind.
type Gateway interface {
	// GetPath returns the answer to a GET of a path with its query.
	GetPath(ctx context.Context, path string) ([]byte, error)
	// PostPath returns the answer to a POST of a JSON body.
	PostPath(ctx context.Context, path string, body []byte) ([]byte, error)
	// GetMetadata and ListMetadata are GetPath of an object or a list; where the server can, with metadata alone.
	GetMetadata(ctx context.Context, path string) ([]byte, error)
	ListMetadata(ctx context.Context, path string) ([]byte, error)
	// WatchMetadata begins a watch. The caller closes it; it ends with ctx.
	WatchMetadata(ctx context.Context, path string) (io.ReadCloser, error)
	// DeletePath returns the answer to a DELETE with DeleteOptions.
	DeletePath(ctx context.Context, path string, options []byte) ([]byte, error)
	// PatchPath returns the answer to a merge patch.
	PatchPath(ctx context.Context, path string, patch []byte) ([]byte, error)
}
