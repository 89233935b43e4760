package request

import (
	"context"
	"net/http"
	"net/url"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"gantry/schema"
)

// Request is one request with what has been read from it.
type Request struct {
	*http.Request
	Info
	Kinds *schema.Set // that there are
	Query url.Values
	User  authenticationv1.UserInfo
	Shape Shape
}

// Handler serves a request. It writes an answer and returns nil, or returns an error and has written nothing.
type Handler func(w http.ResponseWriter, r *Request) error

type stoppingKey struct{}

// WithStopping makes stop the context that ends when the server begins to stop.
func WithStopping(ctx, stop context.Context) context.Context {
	return context.WithValue(ctx, stoppingKey{}, stop)
}

// Stopping is the context that ends when the server begins to stop: long-running requests end then, others go on.
func Stopping(ctx context.Context) context.Context {
	if s, ok := ctx.Value(stoppingKey{}).(context.Context); ok {
		return s
	}
	return context.Background()
}

// NotFound is the answer to a path that does not exist.
func NotFound() error {
	return apierrors.NewGenericServerResponse(http.StatusNotFound, "", kschema.GroupResource{}, "", "the server could not find the requested resource", 0, false)
}

// MethodNotAllowed is the answer to a method that the path does not have.
func MethodNotAllowed() error {
	return apierrors.NewGenericServerResponse(http.StatusMethodNotAllowed, "", kschema.GroupResource{}, "", "", 0, false)
}
