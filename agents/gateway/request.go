package gateway

import (
	"context"
	"net/http"
	"net/url"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
)

// request is one request and what was found out about it.
type request struct {
	*http.Request
	target
	query url.Values
	user  authenticationv1.UserInfo
	shape shape
}

// handler serves a request. It writes an answer and returns nil, or returns an error and has written nothing.
type handler func(w http.ResponseWriter, r *request) error

type stoppingKey struct{}

// withStopping makes stop the context that ends when the server is told to stop.
func withStopping(ctx, stop context.Context) context.Context {
	return context.WithValue(ctx, stoppingKey{}, stop)
}

// stopping is the context that ends when the server is told to stop: long-running requests end then, others go on.
func stopping(ctx context.Context) context.Context {
	if s, ok := ctx.Value(stoppingKey{}).(context.Context); ok {
		return s
	}
	return context.Background()
}

// notFoundPage is the answer to a path that means nothing.
func notFoundPage() error {
	return apierrors.NewGenericServerResponse(http.StatusNotFound, "", kschema.GroupResource{}, "", "the server could not find the requested resource", 0, false)
}

// notAllowed is the answer to a method that the path does not have.
func notAllowed() error {
	return apierrors.NewGenericServerResponse(http.StatusMethodNotAllowed, "", kschema.GroupResource{}, "", "", 0, false)
}
