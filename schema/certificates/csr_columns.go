package certificates

import (
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"gantry/schema"
)

// csrColumns have the texts of v1beta1, as in Kubernetes.
var csrColumns = []metav1.TableColumnDefinition{
	schema.NameColumn(),
	schema.AgeColumn(),
	schema.TextColumn("SignerName", signerText),
	schema.TextColumn("Requestor", "Base64-encoded PKCS#10 CSR data"),
	schema.TextColumn("RequestedDuration", certificatesv1.CertificateSigningRequestSpec{}.SwaggerDoc()["expirationSeconds"]),
	schema.TextColumn("Condition", "Conditions applied to the request, such as approval or denial."),
}

const signerText = "Requested signer for the request. It is a qualified name in the form: `scope-hostname.io/name`. If empty, it will be defaulted:\n" +
	" 1. If it's a kubelet client certificate, it is assigned\n    \"kubernetes.io/kube-apiserver-client-kubelet\".\n" +
	" 2. If it's a kubelet serving certificate, it is assigned\n    \"kubernetes.io/kubelet-serving\".\n" +
	" 3. Otherwise, it is assigned \"kubernetes.io/legacy-unknown\".\n" +
	"Distribution of trust for signers happens out of band. You can select on this field using `spec.signerName`."

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
