package authenticate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/agents/gateway/authorize"
	"gantry/agents/gateway/decode"
	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/request"
	"gantry/agents/gateway/userinfo"
	"gantry/registry"
	"gantry/registry/admit"
	"gantry/schema"
	"gantry/schema/core"
)

// The lifetimes of tokens.
const (
	tokenLife    = time.Hour
	minTokenLife = 10 * time.Minute
	maxTokenLife = 1 << 32 // seconds
)

// CreateToken makes a token of a service account: POST serviceaccounts/<name>/token.
func (n *Authenticator) CreateToken(w http.ResponseWriter, r *request.Request) error {
	o, err := request.ReadWriteOptions(r.Query, "CreateOptions")
	if err != nil {
		return err
	}
	obj, err := decode.Version(w, r, r.Sub.Body, o)
	if err != nil {
		return err
	}
	req := obj.(*authenticationv1.TokenRequest)
	if req.Name != "" && req.Name != r.Name {
		return apierrors.NewInvalid(r.Sub.Body.GVK().GroupKind(), r.Name, field.ErrorList{
			field.Invalid(field.NewPath("metadata", "name"), req.Name, "must match the service account name if specified")})
	}
	if err := decode.PlaceObject(req, r.Scope()); err != nil {
		return err
	}
	account, err := n.Registry.Get(r.Context(), r.Kind, r.Scope(), r.Name, "")
	if err != nil {
		return err
	}
	if req.UID != "" && string(req.UID) != account.UID() {
		return apierrors.NewConflict(kschema.GroupResource{Group: r.Sub.Body.Group, Resource: r.Sub.Body.Kind}, r.Name,
			fmt.Errorf("the UID in the token request (%s) does not match the UID of the service account (%s)", req.UID, account.UID()))
	}
	var texts []string
	opts := o.For(r)
	opts.Warn = encode.CollectWarnings(&texts)
	var asked []string
	err = n.Registry.Admit(r.Context(), admit.Create, r.Kind, r.Scope(), r.Name, req, func() error {
		asked = req.Spec.Audiences
		n.defaultToken(req)
		if faults := tokenFaults(&req.Spec); len(faults) > 0 {
			return apierrors.NewInvalid(r.Sub.Body.GVK().GroupKind(), "", faults)
		}
		return nil
	}, opts)
	if err != nil {
		return err
	}
	bound, err := n.bindToken(r, req.Spec.BoundObjectRef, asked)
	if err != nil {
		return err
	}
	bound.Namespace = r.Scope()
	bound.ServiceAccount = objRef{Name: r.Name, UID: account.UID()}
	if err := n.issue(req, bound); err != nil {
		return err
	}
	encode.Warnings(w, texts)
	req.ObjectMeta = metav1.ObjectMeta{Name: r.Name, Namespace: r.Scope(), UID: types.UID(account.UID()), CreationTimestamp: metav1.Now()}
	return encode.Object(w, r, http.StatusCreated, req)
}

func (n *Authenticator) defaultToken(req *authenticationv1.TokenRequest) {
	if len(req.Spec.Audiences) == 0 {
		req.Spec.Audiences = []string{n.Tokens.issuer}
	}
	if req.Spec.ExpirationSeconds == nil {
		life := int64(tokenLife / time.Second)
		req.Spec.ExpirationSeconds = &life
	}
}

func tokenFaults(s *authenticationv1.TokenRequestSpec) (faults field.ErrorList) {
	path := field.NewPath("spec", "expirationSeconds")
	if *s.ExpirationSeconds < int64(minTokenLife/time.Second) {
		faults = append(faults, field.Invalid(path, *s.ExpirationSeconds, "may not specify a duration less than 10 minutes"))
	}
	if *s.ExpirationSeconds > maxTokenLife {
		faults = append(faults, field.Invalid(path, *s.ExpirationSeconds, "may not specify a duration larger than 2^32 seconds"))
	}
	return faults
}

// bindToken reads what the token is to be bound to; audiences are those that were asked for.
func (n *Authenticator) bindToken(r *request.Request, ref *authenticationv1.BoundObjectReference, audiences []string) (boundClaims, error) {
	var c boundClaims
	if userinfo.IsNode(r.User) {
		switch {
		case ref == nil || ref.APIVersion != "v1" || ref.Kind != "Pod" || ref.Name == "":
			return c, apierrors.NewForbidden(r.GR(), r.Name, errors.New("node requested token not bound to a pod"))
		case ref.UID == "":
			return c, apierrors.NewForbidden(r.GR(), r.Name, errors.New("node requested token with a pod binding without a uid"))
		}
	}
	if ref == nil {
		return c, nil
	}
	switch ref.APIVersion + "/" + ref.Kind {
	case "v1/Pod":
		item, err := n.boundTo(r.Context(), core.Pod, r.Scope(), ref)
		if err != nil {
			return c, err
		}
		c.Pod = &objRef{ref.Name, item.UID()}
		err = n.bindPodToken(r, audiences, &c, item.Object().(*corev1.Pod))
		return c, err
	case "v1/Secret":
		item, err := n.boundTo(r.Context(), core.Secret, r.Scope(), ref)
		if err != nil {
			return c, err
		}
		c.Secret = &objRef{ref.Name, item.UID()}
	case "v1/Node":
		item, err := n.boundTo(r.Context(), core.Node, "", ref)
		if err != nil {
			return c, err
		}
		c.Node = &objRef{ref.Name, item.UID()}
	default:
		return c, apierrors.NewBadRequest(fmt.Sprintf("cannot bind token to object of type %s",
			metav1.GroupVersionKind{Version: ref.APIVersion, Kind: ref.Kind}.String()))
	}
	return c, nil
}

// bindPodToken checks that the pod uses the account, and that a node asks for its own pods only and for what they mount.
func (n *Authenticator) bindPodToken(r *request.Request, audiences []string, c *boundClaims, pod *corev1.Pod) error {
	if pod.Spec.ServiceAccountName != r.Name {
		return apierrors.NewBadRequest(fmt.Sprintf("cannot bind token for serviceaccount %q to pod running with different serviceaccount name.", r.Name))
	}
	if userinfo.IsNode(r.User) {
		if pod.Spec.NodeName != userinfo.NodeName(r.User) {
			return apierrors.NewForbidden(r.GR(), r.Name, errors.New("node requested token bound to a pod scheduled on a different node"))
		}
		if err := n.checkAudience(r, pod, audiences); err != nil {
			return apierrors.NewForbidden(r.GR(), r.Name, err)
		}
	}
	if pod.Spec.NodeName == "" {
		return nil
	}
	c.Node = &objRef{Name: pod.Spec.NodeName}
	node, err := n.Registry.Get(r.Context(), core.Node, "", pod.Spec.NodeName, "0")
	if err != nil && !errors.Is(err, registry.NotFound) {
		return err
	}
	if err == nil {
		c.Node.UID = node.UID()
	}
	return nil
}

// checkAudience refuses a node an audience that no token volume of the pod names, unless the node has the permission
// request-serviceaccounts-token-audience for it: such a token would act for the pod where the pod itself cannot.
func (n *Authenticator) checkAudience(r *request.Request, pod *corev1.Pod, audiences []string) error {
	audience := ""
	switch len(audiences) {
	case 0:
	case 1:
		audience = audiences[0]
	default:
		return errors.New("node may only request 0 or 1 audiences")
	}
	for _, v := range pod.Spec.Volumes {
		if v.Projected == nil {
			continue
		}
		for _, s := range v.Projected.Sources {
			if s.ServiceAccountToken != nil && s.ServiceAccountToken.Audience == audience {
				return nil
			}
		}
	}
	d, _, err := n.Authorizer.Authorize(r.Context(), authorize.Attributes{
		User: r.User, Verb: "request-serviceaccounts-token-audience", IsResource: true, Version: "v1", Plural: audience,
		Namespace: r.Namespace, Name: r.Name,
	})
	switch {
	case d == authorize.Allowed:
		return nil
	case err != nil:
		return fmt.Errorf("audience %q not found in pod spec volume, error authorizing %s to request tokens for this audience: %w", audience, r.User.Username, err)
	}
	return fmt.Errorf("audience %q not found in pod spec volume, %s is not authorized to request tokens for this audience", audience, r.User.Username)
}

// boundTo reads the object that a reference names; its uid, where given, must be the object's.
func (n *Authenticator) boundTo(ctx context.Context, k *schema.Kind, namespace string, ref *authenticationv1.BoundObjectReference) (*registry.Item, error) {
	item, err := n.Registry.Get(ctx, k, namespace, ref.Name, "")
	if err != nil {
		return nil, err
	}
	if ref.UID != "" && string(ref.UID) != item.UID() {
		return nil, apierrors.NewConflict(k.GR(), ref.Name,
			fmt.Errorf("the UID in the bound object reference (%s) does not match the UID in record. The object might have been deleted and then recreated", ref.UID))
	}
	return item, nil
}

// issue signs the token and writes it into the request's status.
func (n *Authenticator) issue(req *authenticationv1.TokenRequest, bound boundClaims) error {
	now := time.Now()
	expires := now.Add(time.Duration(*req.Spec.ExpirationSeconds) * time.Second)
	text, err := n.Tokens.sign(claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: n.Tokens.issuer, Subject: userinfo.ServiceAccountUser(bound.Namespace, bound.ServiceAccount.Name), Audience: req.Spec.Audiences,
			IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(expires), ID: string(uuid.NewUUID()),
		},
		Kubernetes: bound,
	})
	if err != nil {
		return err
	}
	req.Status = authenticationv1.TokenRequestStatus{Token: text, ExpirationTimestamp: metav1.NewTime(expires.Truncate(time.Second))}
	return nil
}
