package certificates

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/controllers/controller"
	"gantry/agents/internal/loop"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/certificates"
)

// A request that its user may not have approved is looked at again when it is twice as old, within these bounds: the permission may come
// later.
const (
	minRecheck = time.Second
	maxRecheck = 1000 * time.Second
)

// approver has the names of requests as keys.
type approver struct {
	*controller.Env
	gateway controller.Gateway
}

// NewApprover approves requests for kubelets' client certificates whose users may create the subresource nodeclient of certificate signing
// requests, or selfnodeclient for their own. It asks gateway for that; nil: nothing is approved.
func NewApprover(gateway controller.Gateway) func(*controller.Env) controller.Reconciler {
	return func(e *controller.Env) controller.Reconciler {
		if gateway == nil {
			return controller.Idle()
		}
		c := approver{e, gateway}
		return controller.Reconciler{Reconcile: c.reconcile, Watches: []controller.Watch{{Kind: certificates.CertificateSigningRequest, Keys: func(_, current schema.Object) {
			if r, ok := current.(*request); ok && !isDecided(r) && !isIssued(r) {
				c.Enqueue(r.Name, 0)
			}
		}}}}
	}
}

func (c approver) reconcile(ctx context.Context, name string) (time.Duration, error) {
	r, err := registry.For[*request](c.Registry).Cached(ctx, "", name)
	if errors.Is(err, registry.NotFound) {
		return 0, nil
	}
	if err != nil || isDecided(r) || isIssued(r) {
		return 0, err
	}
	parsed, err := certificates.ParseRequest(r.Spec.Request)
	if err != nil {
		return 0, loop.Terminal(fmt.Errorf("reading certificate signing request %s: %w", name, err))
	}
	permissions := recognize(r, parsed)
	for _, p := range permissions {
		allowed, err := c.review(ctx, r, p.subresource)
		if err != nil {
			return 0, fmt.Errorf("asking whether %s may create %s: %w", r.Spec.Username, p.subresource, err)
		}
		if allowed {
			return 0, c.Execute(ctx, planApproval(r, p))
		}
	}
	if len(permissions) == 0 {
		return 0, nil
	}
	return min(max(time.Since(r.CreationTimestamp.Time), minRecheck), maxRecheck), nil
}

// permission is a subresource of certificate signing requests; who may create it gets its requests approved.
type permission struct{ subresource, message string }

var (
	selfNodeClient = permission{"selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview."}
	nodeClient     = permission{"nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview."}
)

// recognize returns the permissions of which one is enough for a request to be approved; none for one that is not approved here.
func recognize(r *request, parsed *x509.CertificateRequest) []permission {
	switch {
	case r.Spec.SignerName != certificatesv1.KubeAPIServerClientKubeletSignerName || checkKubeletClient(parsed, r.Spec.Usages) != nil:
		return nil
	case r.Spec.Username == parsed.Subject.CommonName:
		return []permission{selfNodeClient, nodeClient}
	}
	return []permission{nodeClient}
}

func planApproval(r *request, p permission) []controller.Action {
	changed := r.DeepCopy()
	changed.Status.Conditions = append(changed.Status.Conditions, condition{
		Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "AutoApproved", Message: p.message,
	})
	return []controller.Action{{Do: controller.UpdateApproval, Kind: certificates.CertificateSigningRequest, Object: changed, Reason: r.Spec.Username + " may create " + p.subresource}}
}

// review asks a gateway whether the user of a request may create a subresource of certificate signing requests.
func (c approver) review(ctx context.Context, r *request, subresource string) (bool, error) {
	review := authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: r.Spec.Username, UID: r.Spec.UID, Groups: r.Spec.Groups, Extra: map[string]authorizationv1.ExtraValue{},
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: "create", Group: certificatesv1.GroupName, Version: "*", Resource: "certificatesigningrequests", Subresource: subresource,
		},
	}}
	for k, v := range r.Spec.Extra {
		review.Spec.Extra[k] = authorizationv1.ExtraValue(v)
	}
	review.SetGroupVersionKind(authorizationv1.SchemeGroupVersion.WithKind("SubjectAccessReview"))
	body, err := json.Marshal(review)
	if err != nil {
		return false, err
	}
	answer, err := c.gateway.PostPath(ctx, "/apis/authorization.k8s.io/v1/subjectaccessreviews", body)
	if err != nil {
		return false, err
	}
	review = authorizationv1.SubjectAccessReview{}
	if err := json.Unmarshal(answer, &review); err != nil {
		return false, fmt.Errorf("reading the answer: %w", err)
	}
	return review.Status.Allowed && !review.Status.Denied, nil
}
