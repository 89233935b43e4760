package certificates

import (
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
)

type usageSet map[certificatesv1.KeyUsage]struct{}

func setOf(usages ...certificatesv1.KeyUsage) usageSet {
	s := usageSet{}
	for _, u := range usages {
		s[u] = struct{}{}
	}
	return s
}

// checkClientUsages returns what is wrong with the usages of a client certificate: "client auth" is there, and of others "digital signature"
// and "key encipherment" alone.
func checkClientUsages(usages []certificatesv1.KeyUsage) error {
	for _, u := range usages {
		if u != certificatesv1.UsageDigitalSignature && u != certificatesv1.UsageKeyEncipherment && u != certificatesv1.UsageClientAuth {
			return fmt.Errorf("invalid usage for client certificate: %s", u)
		}
	}
	if !slices.Contains(usages, certificatesv1.UsageClientAuth) {
		return fmt.Errorf("missing required usage for client certificate: %s", certificatesv1.UsageClientAuth)
	}
	return nil
}

// checkKubeletClient returns what is wrong with a request for a kubelet's client certificate. In this order: its organization is
// system:nodes alone, it has no alternative names, its common name begins with system:node:, and its usages are those of a client.
func checkKubeletClient(r *x509.CertificateRequest, usages []certificatesv1.KeyUsage) error {
	switch {
	case !slices.Equal(r.Subject.Organization, []string{"system:nodes"}):
		return errNotNodes
	case len(r.DNSNames) > 0:
		return errors.New("DNS subjectAltNames are not allowed")
	case len(r.EmailAddresses) > 0:
		return errEmail
	case len(r.IPAddresses) > 0:
		return errors.New("IP subjectAltNames are not allowed")
	case len(r.URIs) > 0:
		return errURI
	case !strings.HasPrefix(r.Subject.CommonName, "system:node:"):
		return errNotNode
	}
	return checkExactUsages(usages, certificatesv1.UsageClientAuth)
}

// checkKubeletServing returns what is wrong with a request for a kubelet's serving certificate. In this order: its organization is
// system:nodes alone, it has names or addresses, neither e-mail addresses nor URIs, usages of a server, and a common name that begins
// with system:node:.
func checkKubeletServing(r *x509.CertificateRequest, usages []certificatesv1.KeyUsage) error {
	switch {
	case !slices.Equal(r.Subject.Organization, []string{"system:nodes"}):
		return errNotNodes
	case len(r.DNSNames) == 0 && len(r.IPAddresses) == 0:
		return errors.New("DNS or IP subjectAltName is required")
	case len(r.EmailAddresses) > 0:
		return errEmail
	case len(r.URIs) > 0:
		return errURI
	}
	if err := checkExactUsages(usages, certificatesv1.UsageServerAuth); err != nil {
		return err
	}
	if !strings.HasPrefix(r.Subject.CommonName, "system:node:") {
		return errNotNode
	}
	return nil
}

// The texts of Kubernetes.
var (
	errNotNodes = errors.New("subject organization is not system:nodes")
	errNotNode  = errors.New("subject common name does not begin with system:node:") //lint:ignore ST1005 the condition's message as Kubernetes writes it
	errEmail    = errors.New("Email subjectAltNames are not allowed")                //lint:ignore ST1005 the condition's message as Kubernetes writes it
	errURI      = errors.New("URI subjectAltNames are not allowed")
)

// checkExactUsages returns an error unless usages are "digital signature" and auth, with "key encipherment" or without.
func checkExactUsages(usages []certificatesv1.KeyUsage, auth certificatesv1.KeyUsage) error {
	all := setOf(certificatesv1.UsageDigitalSignature, certificatesv1.UsageKeyEncipherment, auth)
	have := setOf(usages...)
	if maps.Equal(have, all) || maps.Equal(have, setOf(certificatesv1.UsageDigitalSignature, auth)) {
		return nil
	}
	return fmt.Errorf("usages did not match %v", slices.Sorted(maps.Keys(all)))
}
