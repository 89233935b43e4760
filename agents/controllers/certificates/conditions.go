package certificates

import (
	"slices"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
)

type (
	request   = certificatesv1.CertificateSigningRequest
	condition = certificatesv1.CertificateSigningRequestCondition
)

// has returns whether a request has a condition of a type; Approved and Denied count whatever their status.
func has(r *request, t certificatesv1.RequestConditionType) bool {
	return slices.ContainsFunc(r.Status.Conditions, func(c condition) bool { return c.Type == t })
}

// isDecided returns whether a request is approved or denied.
func isDecided(r *request) bool {
	return has(r, certificatesv1.CertificateApproved) || has(r, certificatesv1.CertificateDenied)
}

// awaitsSignature returns whether a request is approved, and neither denied nor failed nor issued.
func awaitsSignature(r *request) bool {
	failed := slices.ContainsFunc(r.Status.Conditions, func(c condition) bool {
		return c.Type == certificatesv1.CertificateFailed && c.Status == corev1.ConditionTrue
	})
	return has(r, certificatesv1.CertificateApproved) && !has(r, certificatesv1.CertificateDenied) && !failed && !isIssued(r)
}

func isIssued(r *request) bool { return len(r.Status.Certificate) > 0 }
