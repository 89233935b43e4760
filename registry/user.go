package registry

import (
	"context"

	authenticationv1 "k8s.io/api/authentication/v1"
)

type userKey struct{}

// WithUser says who makes the requests of a context: rules of admission are told it, and the record of a write names it. user is not
// changed from here on. Without it, the process itself makes them, as Config.Agent (a node's as its node).
func WithUser(ctx context.Context, user *authenticationv1.UserInfo) context.Context {
	return context.WithValue(ctx, userKey{}, user)
}

// userOf is who makes the requests of a context.
func (r *Registry) userOf(ctx context.Context) *authenticationv1.UserInfo {
	if user, ok := ctx.Value(userKey{}).(*authenticationv1.UserInfo); ok && user.Username != "" {
		return user
	}
	return r.self
}

// selfOf is the process itself.
func selfOf(cfg Config) *authenticationv1.UserInfo {
	if cfg.Node != "" {
		return &authenticationv1.UserInfo{Username: cfg.Agent + "/" + cfg.Node}
	}
	return &authenticationv1.UserInfo{Username: cfg.Agent, Groups: []string{"system:masters", "system:authenticated"}}
}
