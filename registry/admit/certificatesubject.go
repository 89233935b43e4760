package admit

import (
	"context"
	"slices"

	certificatesv1 "k8s.io/api/certificates/v1"

	"gantry/schema"
	"gantry/schema/certificates"
)

func wantsRequest(o Operation, k *schema.Kind, subresource string) bool {
	return o == Create && k == certificates.CertificateSigningRequest && subresource == ""
}

// checkSubject refuses a request to the signer of client certificates that would make its holder an administrator of everything.
func checkSubject(_ context.Context, _ Reader, q *Request) error {
	spec := &q.Object.(*certificatesv1.CertificateSigningRequest).Spec
	if spec.SignerName != certificatesv1.KubeAPIServerClientSignerName {
		return nil
	}
	r, err := certificates.ParseRequest(spec.Request)
	if err != nil {
		return denied("failed to parse CSR: %v", err)
	}
	if slices.Contains(r.Subject.Organization, "system:masters") {
		return denied("use of %s signer with system:masters group is not allowed", spec.SignerName)
	}
	return nil
}
