package certificates_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"gantry/agents/gateway/gatewaytest"
	"gantry/agents/internal/pki"
	"gantry/schema/rbac"
)

// makeToken makes the bootstrap token abc123.0123456789abcdef for machines of the group workers.
func makeToken(c *gatewaytest.Cluster) {
	c.Make(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "bootstrap-token-abc123"}, Type: "bootstrap.kubernetes.io/token", Data: map[string][]byte{
		"token-id": []byte("abc123"), "token-secret": []byte("0123456789abcdef"), "auth-extra-groups": []byte("system:bootstrappers:workers"),
		"usage-bootstrap-authentication": []byte("true"), "usage-bootstrap-signing": []byte("true"),
	}})
}

// bind gives a group a cluster role, as an administrator does.
func bind(c *gatewaytest.Cluster, role, group string) {
	c.Create(rbac.ClusterRoleBinding, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: strings.ReplaceAll(group+"-"+role, ":", "-")},
		RoleRef:    rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: "rbac.authorization.k8s.io", Kind: "Group", Name: group}},
	})
}

// whoIs is the user that the gateway takes a client for.
func whoIs(t *testing.T, client *kubernetes.Clientset) string {
	t.Helper()
	self, err := client.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(self.Status.UserInfo.Username, self.Status.UserInfo.Groups)
}

// TestANodeJoins follows a machine from its bootstrap token to its own certificates.
func TestANodeJoins(t *testing.T) {
	c := start(t)
	makeToken(c)
	bind(c, "system:node-bootstrapper", "system:bootstrappers:workers")
	bind(c, "system:certificates.k8s.io:certificatesigningrequests:nodeclient", "system:bootstrappers:workers")
	bind(c, "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient", "system:nodes")
	node := pkix.Name{CommonName: "system:node:n1", Organization: []string{"system:nodes"}}

	machine := bearer(c, "abc123.0123456789abcdef")
	r, key := newRequest(t, "n1", certificatesv1.KubeAPIServerClientKubeletSignerName, node, nil, "digital signature", "client auth")
	if made := create(c, machine, r); made.Spec.Username != "system:bootstrap:abc123" {
		t.Errorf("the request is of %s", made.Spec.Username)
	}
	r = issued(c, machine, "n1")
	if len(r.Status.Conditions) != 1 || r.Status.Conditions[0].Reason != "AutoApproved" || r.Status.Conditions[0].Message != "Auto approving kubelet client certificate after SubjectAccessReview." {
		t.Errorf("conditions %+v", r.Status.Conditions)
	}
	kubelet := holder(c, r.Status.Certificate, key)
	if got, want := whoIs(t, kubelet), "system:node:n1[system:nodes system:authenticated]"; got != want {
		t.Errorf("the certificate is of %s, want %s", got, want)
	}
	block, _ := pem.Decode(r.Status.Certificate)
	if leaf, err := x509.ParseCertificate(block.Bytes); err != nil || leaf.NotAfter.Sub(leaf.NotBefore) != time.Hour+5*time.Minute {
		t.Errorf("the certificate is valid for %s, %v", leaf.NotAfter.Sub(leaf.NotBefore), err)
	}

	// It renews its certificate with the one that it has.
	r, key = newRequest(t, "n1-again", certificatesv1.KubeAPIServerClientKubeletSignerName, node, nil, "digital signature", "key encipherment", "client auth")
	create(c, kubelet, r)
	if r = issued(c, kubelet, "n1-again"); r.Status.Conditions[0].Message != "Auto approving self kubelet client certificate after SubjectAccessReview." {
		t.Errorf("conditions %+v", r.Status.Conditions)
	}
	if got := whoIs(t, holder(c, r.Status.Certificate, key)); !strings.HasPrefix(got, "system:node:n1[") {
		t.Errorf("the new certificate is of %s", got)
	}

	// Another node's it cannot even request.
	other := pkix.Name{CommonName: "system:node:n2", Organization: []string{"system:nodes"}}
	for _, signer := range []string{certificatesv1.KubeAPIServerClientKubeletSignerName, certificatesv1.KubeletServingSignerName} {
		r, _ = newRequest(t, "n2", signer, other, []string{"n2"}, "digital signature", "client auth")
		_, err := kubelet.CertificatesV1().CertificateSigningRequests().Create(t.Context(), r, metav1.CreateOptions{})
		if !apierrors.IsForbidden(err) || !strings.HasSuffix(err.Error(), "is forbidden: can only create a node CSR with CN=system:node:n1") {
			t.Errorf("another node's request: %v", err)
		}
	}
	// Its serving certificate an administrator approves.
	r, _ = newRequest(t, "n1-serving", certificatesv1.KubeletServingSignerName, node, []string{"n1"}, "digital signature", "server auth")
	create(c, kubelet, r)
	if got := c.Kubectl("", "certificate", "approve", "n1-serving"); !strings.Contains(got, "certificatesigningrequest.certificates.k8s.io/n1-serving approved") {
		t.Errorf("kubectl says %q", got)
	}
	r = issued(c, kubelet, "n1-serving")
	block, _ = pem.Decode(r.Status.Certificate)
	if leaf, err := x509.ParseCertificate(block.Bytes); err != nil || leaf.VerifyHostname("n1") != nil || len(leaf.ExtKeyUsage) != 1 || leaf.ExtKeyUsage[0] != x509.ExtKeyUsageServerAuth {
		t.Errorf("the serving certificate is %+v, %v", leaf, err)
	}
}

// TestAdministratorsDecide approves and denies by kubectl, with and without the permission for the signer.
func TestAdministratorsDecide(t *testing.T) {
	c := start(t)
	admin := c.Clientset(c.Admin)
	ask := func(name, signer string, usages ...certificatesv1.KeyUsage) (key []byte) {
		r, key := newRequest(t, name, signer, pkix.Name{CommonName: "jane", Organization: []string{"devs"}}, nil, usages...)
		create(c, admin, r)
		return key
	}
	key := ask("yes", certificatesv1.KubeAPIServerClientSignerName, "client auth")
	ask("no", certificatesv1.KubeAPIServerClientSignerName, "client auth")
	ask("bad", certificatesv1.KubeAPIServerClientSignerName, "client auth", "server auth")
	ask("others", "example.com/signer", "client auth")
	c.Kubectl("", "certificate", "approve", "yes", "bad", "others")
	c.Kubectl("", "certificate", "deny", "no")
	if got, want := whoIs(t, holder(c, issued(c, admin, "yes").Status.Certificate, key)), "jane[devs system:authenticated]"; got != want {
		t.Errorf("the certificate is of %s, want %s", got, want)
	}
	c.Until(func() string {
		got := map[string]string{}
		for line := range strings.Lines(c.Kubectl("", "get", "csr", "--no-headers")) {
			f := strings.Fields(line)
			got[f[0]] = f[len(f)-1]
		}
		return cmp.Diff(map[string]string{"yes": "Approved,Issued", "no": "Denied", "bad": "Approved,Failed", "others": "Approved"}, got)
	})
	r, err := admin.CertificatesV1().CertificateSigningRequests().Get(t.Context(), "bad", metav1.GetOptions{})
	if err != nil || len(r.Status.Conditions) != 2 || r.Status.Conditions[1].Reason != "SignerValidationFailure" || r.Status.Conditions[1].Message != "invalid usage for client certificate: server auth" {
		t.Errorf("the failed request is %+v, %v", r.Status.Conditions, err)
	}

	// Who may write the subresource alone decides nothing.
	ask("later", certificatesv1.KubeAPIServerClientSignerName, "client auth")
	all := rbacv1.PolicyRule{Verbs: []string{"*"}, APIGroups: []string{"certificates.k8s.io"}, Resources: []string{"certificatesigningrequests", "certificatesigningrequests/approval", "certificatesigningrequests/status"}}
	c.Grant("", "writer", "bob", all)
	c.Grant("", "approver", "carol", all, rbacv1.PolicyRule{Verbs: []string{"approve"}, APIGroups: []string{"certificates.k8s.io"}, Resources: []string{"signers"}, ResourceNames: []string{"kubernetes.io/*"}})
	approve := func(user string) error {
		client := c.Clientset(c.Pair(user, pki.Request{CommonName: user})).CertificatesV1().CertificateSigningRequests()
		c.Until(func() string { // the roles are known
			var err error
			if r, err = client.Get(t.Context(), "later", metav1.GetOptions{}); err != nil {
				return err.Error()
			}
			return ""
		})
		r.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateApproved, Status: "True", Reason: "test"}}
		_, err := client.UpdateApproval(t.Context(), "later", r, metav1.UpdateOptions{})
		return err
	}
	const refused = `certificatesigningrequests.certificates.k8s.io "later" is forbidden: user not permitted to approve requests with signerName "kubernetes.io/kube-apiserver-client"`
	if err := approve("bob"); !apierrors.IsForbidden(err) || err.Error() != refused {
		t.Errorf("without the permission: %v\nwant %s", err, refused)
	}
	if err := approve("carol"); err != nil {
		t.Errorf("with it: %v", err)
	}
	issued(c, admin, "later")
}

// TestClusterInfoIsSigned follows cluster-info and a token to the token's end.
func TestClusterInfoIsSigned(t *testing.T) {
	c := start(t)
	makeToken(c)
	admin := c.Clientset(c.Admin)
	info := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-public", Name: "cluster-info"}, Data: map[string]string{"kubeconfig": "hello"}}
	c.Until(func() string {
		if _, err := admin.CoreV1().ConfigMaps("kube-public").Create(t.Context(), info, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return err.Error() // its namespace is being made
		}
		return ""
	})
	signature := func(want string) {
		t.Helper()
		c.Until(func() string {
			m, err := admin.CoreV1().ConfigMaps("kube-public").Get(t.Context(), "cluster-info", metav1.GetOptions{})
			if err != nil {
				return err.Error()
			}
			return cmp.Diff(want, m.Data["jws-kubeconfig-abc123"])
		})
	}
	signature("eyJhbGciOiJIUzI1NiIsImtpZCI6ImFiYzEyMyJ9..cwxTytLhrT9ueZ1CvVLMefg1gNoSNd-UWO7Cw4wkSPE")
	patch := fmt.Sprintf(`{"stringData":{"expiration":%q}}`, time.Now().Add(-time.Second).Format(time.RFC3339))
	if a := c.As(http.MethodPatch, "/api/v1/namespaces/kube-system/secrets/bootstrap-token-abc123", patch, "Content-Type: application/merge-patch+json"); a.Code != http.StatusOK {
		t.Fatal(a.Body)
	}
	signature("")
	c.Until(func() string {
		_, err := admin.CoreV1().Secrets("kube-system").Get(t.Context(), "bootstrap-token-abc123", metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			return "the end of the secret"
		}
		return ""
	})
}
