package certificates_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"slices"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// TestRequestOperations takes the steps of Kubernetes' conformance test "CertificateSigningRequest API".
func TestRequestOperations(t *testing.T) {
	c := start(t)
	ctx, admin := t.Context(), c.Clientset(c.Admin)
	client := admin.CertificatesV1().CertificateSigningRequests()
	resources, err := admin.Discovery().ServerResourcesForGroupVersion("certificates.k8s.io/v1")
	if err != nil {
		t.Fatal(err)
	}
	for name, verbs := range map[string][]string{
		"certificatesigningrequests":          {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"},
		"certificatesigningrequests/approval": {"get", "patch", "update"},
		"certificatesigningrequests/status":   {"get", "patch", "update"},
	} {
		if !slices.ContainsFunc(resources.APIResources, func(r metav1.APIResource) bool { return r.Name == name && slices.Equal(r.Verbs, verbs) }) {
			t.Errorf("discovery has not %s with %v: %+v", name, verbs, resources.APIResources)
		}
	}

	const signer = "example.com/e2e"
	of := metav1.ListOptions{FieldSelector: "spec.signerName=" + signer}
	template, _ := newRequest(t, "", signer, pkix.Name{CommonName: "e2e.example.com"}, []string{"e2e.example.com"}, "digital signature", "key encipherment", "server auth")
	template.GenerateName = "e2e-example-csr-"
	var made *certificatesv1.CertificateSigningRequest
	for range 3 {
		if made, err = client.Create(ctx, template, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	list, err := client.List(ctx, of)
	if err != nil || len(list.Items) != 3 {
		t.Fatalf("listed %d, %v", len(list.Items), err)
	}
	if got, err := client.Get(ctx, made.Name, metav1.GetOptions{}); err != nil || got.UID != made.UID || *got.Spec.ExpirationSeconds != 3600 {
		t.Fatalf("got %+v, %v", got, err)
	}
	w, err := client.Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion, FieldSelector: "metadata.name=" + made.Name})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	// change sends a merge patch to a part of the request.
	change := func(patch string, part ...string) *certificatesv1.CertificateSigningRequest {
		t.Helper()
		r, err := client.Patch(ctx, made.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, part...)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	patched := change(`{"metadata":{"annotations":{"patched":"true"}}}`)
	patched.Annotations["updated"] = "true"
	if r, err := client.Update(ctx, patched, metav1.UpdateOptions{}); err != nil || r.Annotations["updated"] != "true" {
		t.Fatalf("updated %v, %v", r, err)
	}
	select {
	case e := <-w.ResultChan():
		if r, ok := e.Object.(*certificatesv1.CertificateSigningRequest); !ok || e.Type != watch.Modified || r.Annotations["patched"] != "true" {
			t.Errorf("watched %v %+v", e.Type, e.Object)
		}
	case <-time.After(time.Minute):
		t.Error("no event after a minute")
	}

	for _, part := range []string{"approval", "status"} {
		var r certificatesv1.CertificateSigningRequest
		a := c.As("GET", "/apis/certificates.k8s.io/v1/certificatesigningrequests/"+made.Name+"/"+part, "")
		if err := json.Unmarshal([]byte(a.Body), &r); err != nil || a.Code != 200 || r.UID != made.UID || r.Kind != "CertificateSigningRequest" || r.APIVersion != "certificates.k8s.io/v1" {
			t.Errorf("%s: %d %s", part, a.Code, a.Body)
		}
	}
	approval := change(`{"metadata":{"annotations":{"patchedapproval":"true"}},"status":{"conditions":[{"type":"ApprovalPatch","status":"True","reason":"e2e"}]}}`, "approval")
	if len(approval.Status.Conditions) != 1 || approval.Annotations["patchedapproval"] != "true" {
		t.Errorf("the patched approval is %+v", approval)
	}
	approval.Status.Conditions = append(approval.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{Type: certificatesv1.CertificateApproved, Status: "True", Reason: "E2E"})
	if r, err := client.UpdateApproval(ctx, made.Name, approval, metav1.UpdateOptions{}); err != nil || len(r.Status.Conditions) != 2 || r.Status.Conditions[1].Type != certificatesv1.CertificateApproved {
		t.Fatalf("the approval is %+v, %v", r, err)
	}
	certificate := selfSignedPEM(t)
	text, err := json.Marshal(certificate)
	if err != nil {
		t.Fatal(err)
	}
	status := change(`{"metadata":{"annotations":{"patchedstatus":"true"}},"status":{"certificate":`+string(text)+`}}`, "status")
	if !bytes.Equal(status.Status.Certificate, certificate) || status.Annotations["patchedstatus"] != "true" {
		t.Errorf("the patched status is %+v", status)
	}
	status.Status.Conditions = append(status.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{Type: "StatusUpdate", Status: "True", Reason: "E2E"})
	if r, err := client.UpdateStatus(ctx, status, metav1.UpdateOptions{}); err != nil || len(r.Status.Conditions) != 3 || r.Status.Conditions[2].Type != "StatusUpdate" {
		t.Fatalf("the status is %+v, %v", r, err)
	}

	if err := client.Delete(ctx, made.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Get(ctx, made.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("after its deletion: %v", err)
	}
	if list, err := client.List(ctx, of); err != nil || len(list.Items) != 2 {
		t.Errorf("listed %d after a deletion, %v", len(list.Items), err)
	}
	if err := client.DeleteCollection(ctx, metav1.DeleteOptions{}, of); err != nil {
		t.Fatal(err)
	}
	if list, err := client.List(ctx, of); err != nil || len(list.Items) != 0 {
		t.Errorf("listed %d after the deletion of all, %v", len(list.Items), err)
	}
}

func selfSignedPEM(t *testing.T) []byte {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, public, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
