package certificates

import (
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
)

const (
	// DefaultLifetime is the lifetime of a certificate, and the longest, unless another is given.
	DefaultLifetime = 365 * 24 * time.Hour
	// minLifetime is the shortest.
	minLifetime = 10 * time.Minute
	// backdate is how far in the past a certificate begins, for machines whose clocks are behind.
	backdate = 5 * time.Minute
	// shortLifetime is below what a lifetime is not shortened by backdate.
	shortLifetime = 8 * time.Hour
)

// lifetime is how long a certificate is to be valid for a request's expirationSeconds.
func lifetime(expirationSeconds *int32, longest time.Duration) time.Duration {
	if expirationSeconds == nil {
		return longest
	}
	return min(max(time.Duration(*expirationSeconds)*time.Second, minLifetime), longest)
}

// template is the certificate for a request: its subject, alternative names and public key, with usages, for a lifetime that ends with the
// authority's (end) at the latest. Extensions of the request are not taken.
func template(r *x509.CertificateRequest, usages []certificatesv1.KeyUsage, life time.Duration, end, now time.Time) (*x509.Certificate, error) {
	t := &x509.Certificate{
		Subject: r.Subject, DNSNames: r.DNSNames, IPAddresses: r.IPAddresses, EmailAddresses: r.EmailAddresses, URIs: r.URIs,
		PublicKeyAlgorithm: r.PublicKeyAlgorithm, PublicKey: r.PublicKey, BasicConstraintsValid: true,
		NotBefore: now.Add(-backdate), NotAfter: now.Add(life),
	}
	if life >= shortLifetime {
		t.NotAfter = t.NotAfter.Add(-backdate)
	}
	if end.Before(t.NotAfter) {
		t.NotAfter = end
	}
	switch {
	case !t.NotBefore.Before(end):
		return nil, fmt.Errorf("the signer has expired: NotAfter=%v", end)
	case !now.Before(end):
		return nil, fmt.Errorf("refusing to sign a certificate that expired in the past: NotAfter=%v", end)
	}
	var unknown []certificatesv1.KeyUsage
	for _, u := range usages {
		usage, isUsage := keyUsages[u]
		extended, isExtended := extendedKeyUsages[u]
		switch {
		case isUsage:
			t.KeyUsage |= usage
		case !isExtended:
			unknown = append(unknown, u)
		case !slices.Contains(t.ExtKeyUsage, extended):
			t.ExtKeyUsage = append(t.ExtKeyUsage, extended)
		}
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("unrecognized usage values: %q", unknown)
	}
	slices.Sort(t.ExtKeyUsage)
	return t, nil
}

var keyUsages = map[certificatesv1.KeyUsage]x509.KeyUsage{
	certificatesv1.UsageSigning:           x509.KeyUsageDigitalSignature,
	certificatesv1.UsageDigitalSignature:  x509.KeyUsageDigitalSignature,
	certificatesv1.UsageContentCommitment: x509.KeyUsageContentCommitment,
	certificatesv1.UsageKeyEncipherment:   x509.KeyUsageKeyEncipherment,
	certificatesv1.UsageKeyAgreement:      x509.KeyUsageKeyAgreement,
	certificatesv1.UsageDataEncipherment:  x509.KeyUsageDataEncipherment,
	certificatesv1.UsageCertSign:          x509.KeyUsageCertSign,
	certificatesv1.UsageCRLSign:           x509.KeyUsageCRLSign,
	certificatesv1.UsageEncipherOnly:      x509.KeyUsageEncipherOnly,
	certificatesv1.UsageDecipherOnly:      x509.KeyUsageDecipherOnly,
}

var extendedKeyUsages = map[certificatesv1.KeyUsage]x509.ExtKeyUsage{
	certificatesv1.UsageAny:             x509.ExtKeyUsageAny,
	certificatesv1.UsageServerAuth:      x509.ExtKeyUsageServerAuth,
	certificatesv1.UsageClientAuth:      x509.ExtKeyUsageClientAuth,
	certificatesv1.UsageCodeSigning:     x509.ExtKeyUsageCodeSigning,
	certificatesv1.UsageEmailProtection: x509.ExtKeyUsageEmailProtection,
	certificatesv1.UsageSMIME:           x509.ExtKeyUsageEmailProtection,
	certificatesv1.UsageIPsecEndSystem:  x509.ExtKeyUsageIPSECEndSystem,
	certificatesv1.UsageIPsecTunnel:     x509.ExtKeyUsageIPSECTunnel,
	certificatesv1.UsageIPsecUser:       x509.ExtKeyUsageIPSECUser,
	certificatesv1.UsageTimestamping:    x509.ExtKeyUsageTimeStamping,
	certificatesv1.UsageOCSPSigning:     x509.ExtKeyUsageOCSPSigning,
	certificatesv1.UsageMicrosoftSGC:    x509.ExtKeyUsageMicrosoftServerGatedCrypto,
	certificatesv1.UsageNetscapeSGC:     x509.ExtKeyUsageNetscapeServerGatedCrypto,
}
