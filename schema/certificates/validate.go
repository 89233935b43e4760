package certificates

import (
	"bytes"
	"fmt"
	"slices"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

// usages are the known ones, in the order that errors list them.
var usages = []certificatesv1.KeyUsage{
	"any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment", "decipher only",
	"digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel", "ipsec user", "key agreement",
	"key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime", "server auth", "signing", "timestamping",
}

// legacySigner is a signer of v1beta1 alone.
const legacySigner = "kubernetes.io/legacy-unknown"

// exceptions are the mistakes that an update may leave as they are.
type exceptions struct {
	bothDecisions, legacySigner, duplicateTypes, emptyType, anyCertificate, duplicateUsages, unknownUsages bool
}

// exceptionsOf are the mistakes that old has already. The certificate is not checked where it does not change.
func exceptionsOf(r, old *request) exceptions {
	seen := map[certificatesv1.RequestConditionType]int{}
	for _, c := range old.Status.Conditions {
		seen[c.Type]++
	}
	e := exceptions{
		bothDecisions:  seen[certificatesv1.CertificateApproved] > 0 && seen[certificatesv1.CertificateDenied] > 0,
		legacySigner:   old.Spec.SignerName == legacySigner,
		duplicateTypes: len(seen) < len(old.Status.Conditions),
		emptyType:      seen[""] > 0,
		anyCertificate: bytes.Equal(r.Status.Certificate, old.Status.Certificate) || checkCertificates(old.Status.Certificate) != nil,
	}
	used := map[certificatesv1.KeyUsage]bool{}
	for _, u := range old.Spec.Usages {
		e.unknownUsages = e.unknownUsages || !slices.Contains(usages, u)
		e.duplicateUsages = e.duplicateUsages || used[u]
		used[u] = true
	}
	return e
}

func validateCreate(r *request) field.ErrorList {
	f := checkAll(r, exceptions{})
	return f.List
}

// checkAll checks that
//   - the request is a PKCS #10 request in PEM, signed by its own key;
//   - there are usages, known ones, each once;
//   - the signer is a domain with a path, the expiration 10 minutes at least;
//   - conditions have a type, each once, and a status; Approved, Denied and Failed are true, and not both of the former there;
//   - the certificate is PEM blocks of certificates.
func checkAll(r *request, e exceptions) (f check.Errors) {
	spec := field.NewPath("spec")
	if _, err := ParseSignedRequest(r.Spec.Request); err != nil {
		f.Invalid(spec.Child("request"), r.Spec.Request, err.Error())
	}
	checkUsages(&f, r.Spec.Usages, e, spec.Child("usages"))
	if signer := spec.Child("signerName"); r.Spec.SignerName == legacySigner && !e.legacySigner {
		f.Invalid(signer, r.Spec.SignerName, "the legacy signerName is not allowed via this API version")
	} else {
		checkSigner(&f, r.Spec.SignerName, signer)
	}
	if s := r.Spec.ExpirationSeconds; s != nil && *s < 600 {
		f.Invalid(spec.Child("expirationSeconds"), *s, "may not specify a duration less than 600 seconds (10 minutes)")
	}
	checkConditions(&f, r.Status.Conditions, e, field.NewPath("status", "conditions"))
	if !e.anyCertificate {
		if err := checkCertificates(r.Status.Certificate); err != nil {
			f.Invalid(field.NewPath("status", "certificate"), "<certificate data>", err.Error())
		}
	}
	return f
}

func checkUsages(f *check.Errors, list []certificatesv1.KeyUsage, e exceptions, p *field.Path) {
	if len(list) == 0 {
		f.Required(p, "")
	}
	if !e.unknownUsages {
		for i, u := range list {
			check.OneOf(f, p.Index(i), u, usages...)
		}
	}
	if e.duplicateUsages {
		return
	}
	seen := map[certificatesv1.KeyUsage]bool{}
	for i, u := range list {
		if seen[u] {
			f.Duplicate(p.Index(i), u)
		}
		seen[u] = true
	}
}

func checkConditions(f *check.Errors, list []condition, e exceptions, p *field.Path) {
	seen := map[certificatesv1.RequestConditionType]bool{}
	for i, c := range list {
		if c.Type == "" && !e.emptyType {
			f.Required(p.Index(i).Child("type"), "")
		}
		status := []corev1.ConditionStatus{corev1.ConditionFalse, corev1.ConditionTrue, corev1.ConditionUnknown}
		other := certificatesv1.RequestConditionType("")
		switch c.Type {
		case certificatesv1.CertificateApproved:
			status, other = status[1:2], certificatesv1.CertificateDenied
		case certificatesv1.CertificateDenied:
			status, other = status[1:2], certificatesv1.CertificateApproved
		case certificatesv1.CertificateFailed:
			status = status[1:2]
		}
		check.SetOneOf(f, p.Index(i).Child("status"), c.Status, status...)
		if other != "" && seen[other] && !e.bothDecisions {
			f.Invalid(p, c.Type, "Approved and Denied conditions are mutually exclusive")
		}
		if seen[c.Type] && !e.duplicateTypes {
			f.Duplicate(p.Index(i).Child("type"), c.Type)
		}
		seen[c.Type] = true
	}
}

func validateUpdate(r, old *request) field.ErrorList   { return checkUpdate(r, old, false, false) }
func validateApproval(r, old *request) field.ErrorList { return checkUpdate(r, old, true, false) }
func validateStatus(r, old *request) field.ErrorList   { return checkUpdate(r, old, false, true) }

// checkUpdate checks all, and that no decision and no failure is taken back. decides: conditions may approve and deny; issues: the
// certificate may be set, once.
func checkUpdate(r, old *request, decides, issues bool) field.ErrorList {
	f := checkAll(r, exceptionsOf(r, old))
	list := field.NewPath("status", "conditions")
	decisions := []certificatesv1.RequestConditionType{certificatesv1.CertificateApproved, certificatesv1.CertificateDenied}
	for _, t := range append(decisions, certificatesv1.CertificateFailed) {
		if len(conditionsOf(r, t)) < len(conditionsOf(old, t)) {
			f.Forbidden(list, fmt.Sprintf("updates may not remove a condition of type %q", t))
		}
	}
	for _, t := range decisions {
		is, was := conditionsOf(r, t), conditionsOf(old, t)
		switch {
		case decides || len(is) < len(was):
		case len(is) > len(was):
			f.Forbidden(list, fmt.Sprintf("updates may not add a condition of type %q", t))
		case !equality.Semantic.DeepEqual(is, was): // what is prepared as an update does not get here
			f.Forbidden(list, fmt.Sprintf("updates may not modify a condition of type %q", t))
		}
	}
	if !bytes.Equal(r.Status.Certificate, old.Status.Certificate) {
		switch certificate := field.NewPath("status", "certificate"); {
		case !issues:
			f.Forbidden(certificate, "updates may not set certificate content")
		case len(old.Status.Certificate) > 0:
			f.Forbidden(certificate, "updates may not modify existing certificate content")
		}
	}
	return f.List
}
