package certificates

import (
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"gantry/schema"
)

var csrColumns = csrColumnsOf(certificatesv1.CertificateSigningRequestSpec{}.SwaggerDoc())

func csrColumnsOf(doc map[string]string) []metav1.TableColumnDefinition {
	return []metav1.TableColumnDefinition{
		schema.NameColumn(),
		schema.AgeColumn(),
		schema.TextColumn("SignerName", doc["signerName"]),
		schema.TextColumn("Requestor", doc["request"]),
		schema.TextColumn("RequestedDuration", doc["expirationSeconds"]),
		schema.TextColumn("Condition", certificatesv1.CertificateSigningRequestStatus{}.SwaggerDoc()["conditions"]),
	}
}

func csrRow(obj schema.Object, now metav1.Time) []any {
	r := obj.(*request)
	requested := schema.Unset
	if s := r.Spec.ExpirationSeconds; s != nil {
		requested = duration.HumanDuration(time.Duration(*s) * time.Second)
	}
	return []any{r.Name, schema.Age(r.CreationTimestamp, now), schema.OrUnset(r.Spec.SignerName), r.Spec.Username, requested, summary(r)}
}

// summary is "Approved,Issued".
func summary(r *request) string {
	has := func(t certificatesv1.RequestConditionType) bool { return len(conditionsOf(r, t)) > 0 }
	text := "Pending"
	switch {
	case has(certificatesv1.CertificateDenied):
		text = "Denied"
	case has(certificatesv1.CertificateApproved):
		text = "Approved"
	}
	if has(certificatesv1.CertificateFailed) {
		text += ",Failed"
	}
	if len(r.Status.Certificate) > 0 {
		text += ",Issued"
	}
	return text
}
