package rbac_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"gantry/agents/gateway/gatewaytest"
	"gantry/agents/internal/pki"
	"gantry/registry"
	"gantry/schema/core"
	"gantry/schema/rbac"
)

// TestServiceAccounts asks as client-go does in a pod, with the token of its service account: what its Role grants works, the rest does not.
func TestServiceAccounts(t *testing.T) {
	c := gatewaytest.New(t)
	admin := c.Clientset(c.Admin)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "app", Namespace: "default"}}
	c.Create(core.ServiceAccount, account)
	pod := gatewaytest.Pod("app-1", "n1")
	pod.Spec.ServiceAccountName = "app"
	pod, err := admin.CoreV1().Pods("default").Create(t.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	token, err := admin.CoreV1().ServiceAccounts("default").CreateToken(t.Context(), "app", &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(&rest.Config{
		Host: c.URL, QPS: -1, BearerToken: token.Status.Token, TLSClientConfig: rest.TLSClientConfig{CAData: c.CA.PEM},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	maps := client.CoreV1().ConfigMaps("default")
	_, err = maps.List(ctx, metav1.ListOptions{})
	if want := `configmaps is forbidden: User "system:serviceaccount:default:app" cannot list resource "configmaps" in API group "" in the namespace "default"`; !apierrors.IsForbidden(err) || err.Error() != want {
		t.Fatalf("without a role: %v", err)
	}
	leases := rule("get create update", "coordination.k8s.io", "leases")
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "app", Namespace: "default"}, Rules: []rbacv1.PolicyRule{rule("get list watch", "", "configmaps"), leases}}
	c.Create(rbac.Role, role)
	c.Create(rbac.RoleBinding, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "app", Namespace: "default"}, RoleRef: rbacv1.RoleRef{Kind: "Role", Name: "app"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: "app"}},
	})
	c.Until(func() string {
		if _, err := maps.List(ctx, metav1.ListOptions{}); err != nil {
			return err.Error()
		}
		return ""
	})
	w, err := maps.Watch(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.Stop()
	if _, err := client.Discovery().ServerGroups(); err != nil {
		t.Errorf("discovery: %v", err)
	}
	for what, do := range map[string]func() error{
		"another verb": func() error {
			return maps.Delete(ctx, "x", metav1.DeleteOptions{})
		},
		"another resource": func() error {
			_, err := client.CoreV1().Secrets("default").List(ctx, metav1.ListOptions{})
			return err
		},
		"another namespace": func() error {
			_, err := client.CoreV1().ConfigMaps("kube-system").List(ctx, metav1.ListOptions{})
			return err
		},
		"all namespaces": func() error {
			_, err := client.CoreV1().ConfigMaps("").List(ctx, metav1.ListOptions{})
			return err
		},
		"a subresource": func() error {
			_, err := client.CoreV1().ServiceAccounts("default").CreateToken(ctx, "app", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
			return err
		},
	} {
		if err := do(); !apierrors.IsForbidden(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestReviews checks that each kind of review answers by the roles, with the reasons that Kubernetes gives.
func TestReviews(t *testing.T) {
	c := gatewaytest.New(t)
	c.Grant("default", "reader", "jane", rule("get", "", "pods", "web"))
	c.Grant("default", "broken", "jane", rule("get", "", "nothing"))
	if _, _, err := c.Registry.Delete(t.Context(), rbac.Role, "default", "broken", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	admin, jane := c.Clientset(c.Admin).AuthorizationV1(), c.Clientset(c.Pair("jane", pki.Request{CommonName: "jane"})).AuthorizationV1()
	ask := func(verb, name string) *authorizationv1.ResourceAttributes {
		return &authorizationv1.ResourceAttributes{Verb: verb, Resource: "pods", Namespace: "default", Name: name}
	}
	reviews := map[string]func(ctx context.Context, a *authorizationv1.ResourceAttributes) (authorizationv1.SubjectAccessReviewStatus, error){
		"self": func(ctx context.Context, a *authorizationv1.ResourceAttributes) (authorizationv1.SubjectAccessReviewStatus, error) {
			r, err := jane.SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: a}}, metav1.CreateOptions{})
			return r.Status, err
		},
		"subject": func(ctx context.Context, a *authorizationv1.ResourceAttributes) (authorizationv1.SubjectAccessReviewStatus, error) {
			r, err := admin.SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: "jane", ResourceAttributes: a}}, metav1.CreateOptions{})
			return r.Status, err
		},
		"local": func(ctx context.Context, a *authorizationv1.ResourceAttributes) (authorizationv1.SubjectAccessReviewStatus, error) {
			r := &authorizationv1.LocalSubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: "jane", ResourceAttributes: a}}
			r.Namespace = "default"
			r, err := admin.LocalSubjectAccessReviews("default").Create(ctx, r, metav1.CreateOptions{})
			return r.Status, err
		},
	}
	for name, review := range reviews {
		c.Until(func() string {
			got, err := review(t.Context(), ask("get", "web"))
			want := authorizationv1.SubjectAccessReviewStatus{Allowed: true, Reason: `RBAC: allowed by RoleBinding "reader/default" of Role "reader" to User "jane"`}
			if err != nil || got != want {
				return name + ": " + got.Reason
			}
			return ""
		})
		c.Until(func() string {
			got, err := review(t.Context(), ask("list", ""))
			want := authorizationv1.SubjectAccessReviewStatus{Reason: `RBAC: role.rbac.authorization.k8s.io "broken" not found`}
			if err != nil || got != want {
				return name + ": " + got.Reason
			}
			return ""
		})
	}
	rules, err := jane.SelfSubjectRulesReviews().Create(t.Context(), &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: "default"}}, metav1.CreateOptions{})
	if err != nil || rules.Status.Incomplete || rules.Status.EvaluationError != `role.rbac.authorization.k8s.io "broken" not found` {
		t.Errorf("%v, %+v", err, rules.Status)
	}
	text, _ := json.Marshal(rules.Status.ResourceRules)
	if want := `{"verbs":["get"],"apiGroups":[""],"resources":["pods"],"resourceNames":["web"]}`; !strings.Contains(string(text), want) {
		t.Errorf("%s", text)
	}
}

// TestKubectlAuth runs kubectl's own commands about permission.
func TestKubectlAuth(t *testing.T) {
	c := gatewaytest.New(t)
	const jane = "--as=jane"
	if out := c.Kubectl("", "!", "auth", "can-i", "list", "pods", jane); strings.TrimSpace(out) != "no" {
		t.Errorf("can-i: %s", out)
	}
	file := filepath.Join(c.Dir, "roles.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const role = `apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: default}
rules: [{apiGroups: [""], resources: [pods, pods/log], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader, namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: jane}]
`
	write(role)
	if out := c.Kubectl("", "auth", "reconcile", "-f", file); !strings.Contains(out, "role.rbac.authorization.k8s.io/reader reconciled") {
		t.Errorf("reconcile: %s", out)
	}
	admin := c.Clientset(c.Admin)
	c.Until(func() string {
		r, err := admin.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: "jane", ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "get", Resource: "pods", Subresource: "log", Namespace: "default"},
		}}, metav1.CreateOptions{})
		if err != nil || !r.Status.Allowed {
			return "the role of jane"
		}
		return ""
	})
	for args, want := range map[string]string{
		"auth can-i get pods/log":              "yes\n",
		"auth can-i list pods -n default":      "yes\n",
		"! auth can-i delete pods":             "no\n",
		"! auth can-i list pods -A":            "no\n",
		"! auth can-i get /metrics":            "no\n",
		"auth can-i create selfsubjectreviews": "yes\n",
	} {
		if out := c.Kubectl("", append(strings.Fields(args), jane)...); !strings.HasSuffix(out, want) {
			t.Errorf("%s: %q, want %q", args, out, want)
		}
	}
	if out := c.Kubectl("", "auth", "can-i", "--list", jane); !strings.Contains(out, "pods/log ") || !strings.Contains(out, "[get list]") {
		t.Errorf("can-i --list: %s", out)
	}
	if out := c.Kubectl("", "auth", "whoami", jane, "--as-group=devs"); !strings.Contains(out, "jane") || !strings.Contains(out, "[devs system:authenticated]") {
		t.Errorf("whoami: %s", out)
	}
	write(strings.Replace(strings.Replace(role, "[get, list]", "[watch]", 1), "name: jane", "name: tom", 1))
	c.Kubectl("", "auth", "reconcile", "-f", file, "--remove-extra-permissions", "--remove-extra-subjects")
	got, err := admin.RbacV1().Roles("default").Get(t.Context(), "reader", metav1.GetOptions{})
	if err != nil || len(got.Rules) != 1 || got.Rules[0].Verbs[0] != "watch" {
		t.Errorf("reconciled: %v, %v", got, err)
	}
	b, err := admin.RbacV1().RoleBindings("default").Get(t.Context(), "reader", metav1.GetOptions{})
	if err != nil || len(b.Subjects) != 1 || b.Subjects[0].Name != "tom" {
		t.Errorf("reconciled: %v, %v", b, err)
	}
}
