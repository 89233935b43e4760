package admit

import (
	"bytes"
	"context"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"gantry/schema"
	"gantry/schema/certificates"
)

// wantsRequestPart is the Wants of a rule on updates of a subresource of certificate signing requests.
func wantsRequestPart(part string) func(Operation, *schema.Kind, string) bool {
	return func(o Operation, k *schema.Kind, subresource string) bool {
		return o == Update && k == certificates.CertificateSigningRequest && subresource == part
	}
}

// checkApproval refuses decisions of users who may not approve the requests of a signer.
func checkApproval(ctx context.Context, _ Reader, q *Request) error {
	signer := q.Old.(*certificatesv1.CertificateSigningRequest).Spec.SignerName
	if !maySigner(ctx, q, "approve", signer) {
		return denied("user not permitted to approve requests with signerName %q", signer)
	}
	return nil
}

// checkSigning refuses certificates and conditions of users who may not sign the requests of a signer.
func checkSigning(ctx context.Context, _ Reader, q *Request) error {
	was, is := q.Old.(*certificatesv1.CertificateSigningRequest), q.Object.(*certificatesv1.CertificateSigningRequest)
	if bytes.Equal(was.Status.Certificate, is.Status.Certificate) && equality.Semantic.DeepEqual(was.Status.Conditions, is.Status.Conditions) {
		return nil
	}
	if signer := was.Spec.SignerName; !maySigner(ctx, q, "sign", signer) {
		return denied("user not permitted to sign requests with signerName %q", signer)
	}
	return nil
}

// maySigner returns whether the user has the permission of a verb on a signer, "example.com/a", or on all of its domain, "example.com/*". An
// authorizer that cannot decide does not permit.
func maySigner(ctx context.Context, q *Request, verb, signer string) bool {
	domain, _, _ := strings.Cut(signer, "/")
	who := &user.DefaultInfo{Name: q.User.Username, UID: q.User.UID, Groups: q.User.Groups, Extra: map[string][]string{}}
	for k, v := range q.User.Extra {
		who.Extra[k] = v
	}
	for _, name := range []string{signer, domain + "/*"} {
		d, _, err := q.Authorizer.Authorize(ctx, authorizer.AttributesRecord{
			User: who, Verb: verb, APIGroup: certificatesv1.GroupName, APIVersion: "*", Resource: "signers", Name: name, ResourceRequest: true,
		})
		if err == nil && d == authorizer.DecisionAllow {
			return true
		}
	}
	return false
}
