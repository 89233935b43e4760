package registry

import (
	"context"
	"errors"
	"fmt"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"gantry/registry/admit"
	"gantry/schema"
)

// admission is the admission of one write: the request, which is also the rules' Reader of other objects (admissionreader.go) and of
// their keys (admissionkeys.go). nil: no rule concerns the write.
type admission struct {
	admit.Request
	registry *Registry
	last     admit.Found
	newer    map[string]state    // objects whose state in the store is not the one that a rule had read, by key
	keys     map[string]keyState // keys of rules that were read from the store during this write
	fresh    bool                // keys are read from the store
	assumed  bool                // the state of a key was returned without reading the store
	leave    func()              // leaves the queue of writers of a key; nil: it is in none
}

// admissionOf is the admission of a request; nil where no rule concerns it. A node's registry writes its heartbeat alone and may not
// read what the rules read: no rule concerns its writes.
func (r *Registry) admissionOf(ctx context.Context, op admit.Operation, t target, subresource string) *admission {
	if r.cfg.Node != "" || !r.admitters.Want(op, t.kind, subresource, t.namespace, r.mayHave) {
		return nil
	}
	a := &admission{registry: r}
	a.Operation, a.Kind, a.Subresource, a.Namespace, a.Name = op, t.kind, subresource, t.namespace, t.name
	a.Version, a.User = t.kind.Stored(), r.userOf(ctx)
	a.Authorizer = authorizerOf(ctx, a.User)
	return a
}

// inVersion makes the request one of a version (nil: the stored one): its objects are of the version that the rules of v's writes are of.
func (a *admission) inVersion(v *schema.Version) {
	if v != nil {
		a.Kind, a.Version = a.Kind.RulesOf(v), v
	}
}

// admissionOfWrite is admissionOf with the options of a write.
func (r *Registry) admissionOfWrite(ctx context.Context, op admit.Operation, t target, o WriteOptions) *admission {
	a := r.admissionOf(ctx, op, t, o.Subresource)
	if a != nil {
		a.DryRun, a.FieldManager, a.FieldValidation = o.DryRun, o.FieldManager, o.FieldValidation
		a.inVersion(o.Version)
	}
	return a
}

// admissionOfUpdate is that of u, which is to replace old; nil also for a binding, which Bind has admitted.
func (r *Registry) admissionOfUpdate(ctx context.Context, u *guardedUpdate, old schema.Object, o WriteOptions) *admission {
	if o.Subresource == "binding" {
		return nil
	}
	a := r.admissionOfWrite(ctx, admit.Update, u.target, o)
	switch {
	case a == nil:
	case a.Kind.Scale() != nil && o.Subresource == "scale":
		a.Object, a.Old = a.Kind.Scale().Of(u.obj), a.Kind.Scale().Of(old)
	default:
		a.Object, a.Old = u.obj, old
	}
	return a
}

// admissionOfDelete is that of the deletion of old.
func (r *Registry) admissionOfDelete(ctx context.Context, t target, old *Item, o DeleteOptions) (*admission, error) {
	a := r.admissionOf(ctx, admit.Delete, t, o.Subresource)
	if a == nil {
		return nil, nil
	}
	if o.Version == nil && a.Kind.AsWritten {
		o.Version = old.Version() // an agent's: it needs no conversion
	}
	a.inVersion(o.Version)
	obj, err := old.ObjectAs(ctx, a.Kind.Stored())
	if err != nil {
		return nil, err
	}
	a.Old, a.DryRun = obj, o.DryRun
	a.Deletion = &metav1.DeleteOptions{GracePeriodSeconds: o.GracePeriodSeconds}
	if o.Propagation != "" {
		policy := metav1.DeletionPropagation(o.Propagation)
		a.Deletion.PropagationPolicy = &policy
	}
	if o.UID != "" || o.ResourceVersion != "" {
		a.Deletion.Preconditions = &metav1.Preconditions{}
		if uid := types.UID(o.UID); uid != "" {
			a.Deletion.Preconditions.UID = &uid
		}
		if rv := o.ResourceVersion; rv != "" {
			a.Deletion.Preconditions.ResourceVersion = &rv
		}
	}
	return a, nil
}

// mutate runs the first phase.
func (a *admission) mutate(ctx context.Context) error {
	if a == nil {
		return nil
	}
	return a.refused(ctx, a.registry.admitters.Mutate(ctx, a, &a.Request))
}

// validate runs the second phase.
func (a *admission) validate(ctx context.Context, removes bool) error {
	if a == nil {
		return nil
	}
	a.Removes = removes
	return a.refused(ctx, a.registry.admitters.Validate(ctx, a, &a.Request))
}

// applyScale sets obj's replicas to those of the Scale that was admitted, where there is one.
func (a *admission) applyScale(obj schema.Object) error {
	if a == nil {
		return nil
	}
	if scale, ok := a.Object.(*autoscalingv1.Scale); ok {
		return a.Kind.Scale().Set(obj, scale.Spec.Replicas)
	}
	return nil
}

// warnings are what the rules have added.
func (a *admission) warnings() []string {
	if a == nil {
		return nil
	}
	return a.Warnings
}

// refused returns a rule's error as one of the registry; nil for nil.
func (a *admission) refused(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	return a.refusal(ctx, err)
}

func (a *admission) refusal(ctx context.Context, err error) error {
	var denied *admit.Denied
	var missing *admit.Missing
	var refused *admit.Invalid
	var tooMany *admit.TooMany
	var misconfigured *admit.Misconfigured
	var rejected *admit.Rejected
	switch {
	case errors.As(err, &rejected):
		e := newError(a.Kind, a.Name, kindOfCode(int(rejected.Status.Code)), "%s", rejected.Status.Message)
		e.Cause = &apierrors.StatusError{ErrStatus: rejected.Status}
		return e
	case errors.As(err, &tooMany):
		e := newError(a.Kind, a.Name, TooManyRequests, "")
		e.Reason, e.Causes, e.RetryAfter = tooMany.Reason, tooMany.Causes, tooMany.RetryAfter
		return e
	case errors.As(err, &misconfigured):
		return newError(a.Kind, a.Name, Misconfigured, "%s", misconfigured.Reason)
	case errors.As(err, &denied):
		e := newError(a.Kind, a.Name, Forbidden, "")
		e.Reason, e.Causes = denied.Reason, denied.Causes
		return e
	case errors.As(err, &missing):
		return &Error{Kind: NotFound, Group: missing.Group, Resource: missing.Resource, KindName: missing.Kind, Name: missing.Name}
	case errors.As(err, &refused):
		return invalid(a.Kind, a.Name, refused.Errs)
	case ctx.Err() != nil:
		return ctxError(ctx)
	}
	err = fromStore(err)
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	return &Error{Kind: Unavailable, Group: a.Kind.Group, Resource: a.Kind.Plural, KindName: a.Kind.Kind, Name: a.Name, Cause: err}
}

// kindOfCode is the kind of error of an HTTP status code that others have chosen.
func kindOfCode(code int) ErrorKind {
	switch {
	case code == 429:
		return TooManyRequests
	case code >= 500:
		return Unavailable
	}
	return Forbidden
}

// Admit runs admission for a request below an object that stores nothing itself: a connection to a pod
// (admit.Connect), a token, an eviction (admit.Create). o.Subresource names it, and body is what it asks for, a schema.Object unless
// it is a connection. check, where set, validates the body between the phases. Rules may change a body.
func (r *Registry) Admit(ctx context.Context, op admit.Operation, k *schema.Kind, namespace, name string, body runtime.Object, check func() error, o WriteOptions) error {
	t, err := targetOf(k, namespace, name)
	if err != nil {
		return err
	}
	a := r.admissionOfWrite(ctx, op, t, o)
	if a != nil {
		if op == admit.Connect {
			a.Connection = body
		} else {
			a.Object = body.(schema.Object)
		}
	}
	if err := a.mutate(ctx); err != nil {
		return err
	}
	if check != nil {
		if err := check(); err != nil {
			return err
		}
	}
	if err := a.validate(ctx, false); err != nil {
		return err
	}
	if a != nil && a.changesKeys() {
		return t.newError(Unavailable, fmt.Sprintf("a rule of admission has added keys, which a %s of %s/%s cannot store", op, k.Plural, o.Subresource))
	}
	o.warn(k, nil, nil, a.warnings())
	return nil
}

// CallWebhook posts a body to a webhook and returns the body of its answer.
func (r *Registry) CallWebhook(ctx context.Context, to *admissionv1.WebhookClientConfig, body []byte) ([]byte, error) {
	if r.cfg.Webhooks == nil {
		return nil, errors.New("this process calls no webhooks")
	}
	return r.cfg.Webhooks.Post(ctx, &admission{registry: r}, to, body)
}

type userKey struct{}

// WithUser sets the user of a context's requests, for rules of admission and the records of writes. user must not be changed afterwards.
// Without it, the user is the process itself, as Config.Agent (a node's as its node).
func WithUser(ctx context.Context, user *authenticationv1.UserInfo) context.Context {
	return context.WithValue(ctx, userKey{}, user)
}

type authorizerKey struct{}

// WithAuthorizer sets who answers, for rules of admission, what users may do: the one that has authorized the context's requests. Without it,
// that is admit.AgentAuthorizer.
func WithAuthorizer(ctx context.Context, a authorizer.Authorizer) context.Context {
	return context.WithValue(ctx, authorizerKey{}, a)
}

func authorizerOf(ctx context.Context, user *authenticationv1.UserInfo) authorizer.Authorizer {
	if a, ok := ctx.Value(authorizerKey{}).(authorizer.Authorizer); ok {
		return a
	}
	return admit.AgentAuthorizer(user)
}

// userOf is the user of a context's requests.
func (r *Registry) userOf(ctx context.Context) *authenticationv1.UserInfo {
	if user, ok := ctx.Value(userKey{}).(*authenticationv1.UserInfo); ok && user.Username != "" {
		return user
	}
	return r.self
}

// selfOf is the user of the process itself.
func selfOf(cfg Config) *authenticationv1.UserInfo {
	if cfg.Node != "" {
		return &authenticationv1.UserInfo{Username: cfg.Agent + "/" + cfg.Node}
	}
	return &authenticationv1.UserInfo{Username: cfg.Agent, Groups: []string{"system:masters", "system:authenticated"}}
}
