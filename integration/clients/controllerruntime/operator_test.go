package controllerruntime

import (
	"context"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"gantry/integration/clients/cluster"
	"gantry/integration/clients/operator/certs"
)

// TestOperator runs the controllers of custom kinds in two pods with nothing but their service account, which a Role allows what they need. They elect
// a leader by a Lease.
func TestOperator(t *testing.T) {
	whole, err := cluster.StartWhole()
	must(t, err)
	t.Cleanup(whole.Stop)
	image, err := whole.ScratchImage("operator")
	must(t, err)
	installKinds(t, whole.Config)
	namespace, c := whole.Namespace(t), newClient(t, whole.Config)
	for _, o := range operatorObjects(namespace, image) {
		must(t, c.Create(t.Context(), o))
	}
	first := awaitLeader(t, c, namespace, "")
	must(t, c.Create(t.Context(), &certs.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "self"}, Spec: certs.IssuerSpec{SelfSigned: &struct{}{}}}))
	awaitCertificate(t, c, newCertificate(t, c, namespace, "one"), "one.example.com")

	// The leader releases its Lease when it ends.
	must(t, c.Delete(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: podOf(first)}}))
	second := awaitLeader(t, c, namespace, first)
	awaitCertificate(t, c, newCertificate(t, c, namespace, "two"), "two.example.com")
	if podOf(first) == podOf(second) {
		t.Errorf("the leaders are %s and %s", first, second)
	}

	// Without its Role the operator does nothing; with it, it goes on.
	role := &rbacv1.Role{}
	must(t, c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "operator"}, role))
	rules := role.Rules
	role.Rules = rules[:1] // the Lease's
	must(t, c.Update(t.Context(), role))
	three := newCertificate(t, c, namespace, "three")
	as := rest.CopyConfig(whole.Config)
	as.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:" + namespace + ":operator"}
	err = newClient(t, as).Get(t.Context(), client.ObjectKeyFromObject(three), three)
	if want := fmt.Sprintf(`certificates.certs.example.com "three" is forbidden: User "system:serviceaccount:%s:operator" cannot get resource "certificates" in API group "certs.example.com" in the namespace %q`,
		namespace, namespace); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	role.Rules = rules
	must(t, c.Update(t.Context(), role))
	awaitCertificate(t, c, three, "three.example.com")

	must(t, c.DeleteAllOf(t.Context(), &certs.Certificate{}, client.InNamespace(namespace)))
	cluster.Until(t, func(ctx context.Context) string {
		var left certs.CertificateList
		var secrets corev1.SecretList
		must(t, c.List(ctx, &left, client.InNamespace(namespace)))
		must(t, c.List(ctx, &secrets, client.InNamespace(namespace)))
		if n, m := len(left.Items), len(secrets.Items); n+m > 0 {
			return fmt.Sprintf("%d certificates and %d secrets are left", n, m)
		}
		return ""
	})
}

// operatorObjects are a service account, its Role and a Deployment.
func operatorObjects(namespace, image string) []client.Object {
	named := metav1.ObjectMeta{Namespace: namespace, Name: "operator"}
	all := []string{"get", "list", "watch", "create", "update", "patch"}
	replicas, user, yes, chosen := int32(2), int64(1000), true, map[string]string{"app": "operator"}
	container := corev1.Container{
		Name: "operator", Image: image, ImagePullPolicy: corev1.PullNever, Args: []string{"controller", "--watch-namespace=" + namespace, "--leader-election-namespace=" + namespace},
		ReadinessProbe: &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/readyz", Port: intstr.FromInt32(8081)}}},
	}
	pod := corev1.PodSpec{ServiceAccountName: "operator", SecurityContext: &corev1.PodSecurityContext{RunAsUser: &user, RunAsNonRoot: &yes}, Containers: []corev1.Container{container}}
	return []client.Object{
		&corev1.ServiceAccount{ObjectMeta: named},
		&rbacv1.Role{ObjectMeta: named, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"get", "create", "update"}},
			{APIGroups: []string{certs.GroupVersion.Group}, Resources: []string{"*"}, Verbs: all},
			{APIGroups: []string{""}, Resources: []string{"secrets", "configmaps", "events"}, Verbs: all},
			{APIGroups: []string{"events.k8s.io"}, Resources: []string{"events"}, Verbs: []string{"create", "patch"}},
		}},
		&rbacv1.RoleBinding{
			ObjectMeta: named, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "operator"},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: "operator"}},
		},
		&appsv1.Deployment{ObjectMeta: named, Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: chosen},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: chosen}, Spec: pod},
		}},
	}
}

// awaitLeader waits for a holder of the Lease other than before, and returns it.
func awaitLeader(t *testing.T, c client.Client, namespace, before string) (holder string) {
	t.Helper()
	cluster.Until(t, func(ctx context.Context) string {
		lease := &coordinationv1.Lease{}
		if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "certs-controller"}, lease); err != nil {
			return err.Error()
		}
		if holder = *lease.Spec.HolderIdentity; holder == "" || holder == before {
			return fmt.Sprintf("the leader is %q", holder)
		}
		return ""
	})
	return holder
}

// podOf is the name of the pod in the identity of a leader: its host name, an underscore and a UUID.
func podOf(holder string) string {
	return holder[:len(holder)-len("_xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")]
}

func newCertificate(t *testing.T, c client.Client, namespace, name string) *certs.Certificate {
	t.Helper()
	o := &certs.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: certs.CertificateSpec{
		SecretName: name, DNSNames: []string{name + ".example.com"}, Duration: &metav1.Duration{Duration: time.Hour}, IssuerRef: certs.IssuerRef{Name: "self", Kind: "Issuer"},
	}}
	must(t, c.Create(t.Context(), o))
	return o
}

// awaitCertificate waits until the Certificate's generation is issued for the name, and reads it.
func awaitCertificate(t *testing.T, c client.Client, o *certs.Certificate, name string) *corev1.Secret {
	t.Helper()
	secret := &corev1.Secret{}
	cluster.Until(t, func(ctx context.Context) string {
		must(t, c.Get(ctx, client.ObjectKeyFromObject(o), o))
		if !meta.IsStatusConditionTrue(o.Status.Conditions, "Ready") || o.Status.Revision != o.Generation {
			return fmt.Sprintf("generation %d, status %+v", o.Generation, o.Status)
		}
		must(t, c.Get(ctx, client.ObjectKey{Namespace: o.Namespace, Name: o.Spec.SecretName}, secret))
		return ""
	})
	cert, err := certs.Parse(secret.Data[corev1.TLSCertKey])
	must(t, err)
	if err := cert.VerifyHostname(name); err != nil || cert.SerialNumber.String() != o.Status.Serial {
		t.Errorf("the certificate %s is for %v: %v", cert.SerialNumber, cert.DNSNames, err)
	}
	return secret
}

// installKinds installs the chart's kinds, as they are without a webhook that converts.
func installKinds(t *testing.T, config *rest.Config) {
	t.Helper()
	_, err := envtest.InstallCRDs(config, envtest.CRDInstallOptions{Paths: []string{"../helm/testdata/certs/files"}, ErrorIfPathMissing: true})
	must(t, err)
}
