package controller

import "context"

// Gateway asks a gateway for what is not stored in etcd: metrics, and reviews of what a user may do. An error says that no gateway answered, or
// has the text of the Status that one answered.
type Gateway interface {
	// GetPath returns the answer to a GET of a path with its query.
	GetPath(ctx context.Context, path string) ([]byte, error)
	// PostPath returns the answer to a POST of a JSON body.
	PostPath(ctx context.Context, path string, body []byte) ([]byte, error)
}
