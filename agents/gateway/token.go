package gateway

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
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
)

// The lifetimes of tokens.
const (
	tokenLife    = time.Hour
	minTokenLife = 10 * time.Minute
	maxTokenLife = 1 << 32 // seconds
)

// createToken makes a token of a service account: POST serviceaccounts/<name>/token.
func (g *gateway) createToken(w http.ResponseWriter, r *request) error {
	o, err := writeOptions(r.query, "CreateOptions")
	if err != nil {
		return err
	}
	obj, err := readKind(w, r.Request, tokenRequestKind, o)
	if err != nil {
		return err
	}
	req := obj.(*authenticationv1.TokenRequest)
	if req.Name != "" && req.Name != r.name {
		return apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s) does not match the name on the URL (%s)", req.Name, r.name))
	}
	if err := placeObject(req, r.scope()); err != nil {
		return err
	}
	account, err := g.reg.Get(r.Context(), r.kind, r.scope(), r.name, "")
	if err != nil {
		return err
	}
	g.defaultToken(req)
	if faults := tokenFaults(&req.Spec); len(faults) > 0 {
		return apierrors.NewInvalid(tokenRequestKind.GVK().GroupKind(), r.name, faults)
	}
	bound, err := g.bindToken(r, req)
	if err != nil {
		return err
	}
	bound.Namespace = r.scope()
	bound.ServiceAccount = objRef{Name: r.name, UID: account.UID()}
	if err := g.issue(req, bound); err != nil {
		return err
	}
	req.ObjectMeta = metav1.ObjectMeta{Name: r.name, Namespace: r.scope(), CreationTimestamp: metav1.Now()}
	return g.sendObject(w, r, http.StatusCreated, req)
}

func (g *gateway) defaultToken(req *authenticationv1.TokenRequest) {
	if len(req.Spec.Audiences) == 0 {
		req.Spec.Audiences = []string{g.cfg.Issuer}
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

// bindToken looks up what the token is to be bound to.
func (g *gateway) bindToken(r *request, req *authenticationv1.TokenRequest) (boundClaims, error) {
	var c boundClaims
	ref := req.Spec.BoundObjectRef
	if isNode(r.user) && (ref == nil || ref.Kind != "Pod" || ref.UID == "") {
		return c, apierrors.NewForbidden(r.gr(), r.name, fmt.Errorf("node requested token not bound to a pod"))
	}
	if ref == nil {
		return c, nil
	}
	switch ref.APIVersion + "/" + ref.Kind {
	case "v1/Pod":
		item, err := g.boundTo(r.Context(), core.Pod, r.scope(), ref)
		if err != nil {
			return c, err
		}
		c.Pod = &objRef{ref.Name, item.UID()}
		err = g.bindPodToken(r, &c, item.Object().(*corev1.Pod))
		return c, err
	case "v1/Secret":
		item, err := g.boundTo(r.Context(), core.Secret, r.scope(), ref)
		if err != nil {
			return c, err
		}
		c.Secret = &objRef{ref.Name, item.UID()}
	case "v1/Node":
		item, err := g.boundTo(r.Context(), core.Node, "", ref)
		if err != nil {
			return c, err
		}
		c.Node = &objRef{ref.Name, item.UID()}
	default:
		return c, apierrors.NewBadRequest(fmt.Sprintf("cannot bind token for serviceaccount %q to object type %s", r.name,
			metav1.GroupVersionKind{Version: ref.APIVersion, Kind: ref.Kind}.String()))
	}
	return c, nil
}

// bindPodToken checks that the pod uses the account, and that a node asks for its own pods only.
func (g *gateway) bindPodToken(r *request, c *boundClaims, pod *corev1.Pod) error {
	if pod.Spec.ServiceAccountName != r.name && accountOf(pod) != r.name {
		return apierrors.NewBadRequest(fmt.Sprintf("cannot bind token for serviceaccount %q to pod running with different serviceaccount name.", r.name))
	}
	if isNode(r.user) && pod.Spec.NodeName != nodeOf(r.user) {
		return apierrors.NewForbidden(r.gr(), r.name, fmt.Errorf("node requested token bound to a pod scheduled on a different node"))
	}
	if pod.Spec.NodeName == "" {
		return nil
	}
	c.Node = &objRef{Name: pod.Spec.NodeName}
	node, err := g.reg.Get(r.Context(), core.Node, "", pod.Spec.NodeName, "0")
	if err != nil && !errors.Is(err, registry.NotFound) {
		return err
	}
	if err == nil {
		c.Node.UID = node.UID()
	}
	return nil
}

// boundTo reads the object that a reference names; its uid, where given, must be the object's.
func (g *gateway) boundTo(ctx context.Context, k *schema.Kind, namespace string, ref *authenticationv1.BoundObjectReference) (*registry.Item, error) {
	item, err := g.reg.Get(ctx, k, namespace, ref.Name, "")
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
func (g *gateway) issue(req *authenticationv1.TokenRequest, bound boundClaims) error {
	now := time.Now()
	expires := now.Add(time.Duration(*req.Spec.ExpirationSeconds) * time.Second)
	text, err := g.tokens.sign(claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: g.cfg.Issuer, Subject: serviceAccountUser(bound.Namespace, bound.ServiceAccount.Name), Audience: req.Spec.Audiences,
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
