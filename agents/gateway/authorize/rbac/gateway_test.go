package rbac_test

import (
	"net/http"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"

	"gantry/agents/gateway/gatewaytest"
	"gantry/agents/internal/pki"
	"gantry/registry/store"
)

func clientOf(c *gatewaytest.Cluster, name string, groups ...string) *http.Client {
	return c.Client(c.Pair(name, pki.Request{CommonName: name, Organizations: groups}).Certificate)
}

const (
	group        = "/apis/rbac.authorization.k8s.io/v1"
	roles        = group + "/namespaces/default/roles"
	bindings     = group + "/namespaces/default/rolebindings"
	clusterRoles = group + "/clusterroles"
	pods         = "/api/v1/namespaces/default/pods"

	podReader = `{"metadata":{"name":"pod-reader"},"rules":[{"verbs":["get","list"],"apiGroups":[""],"resources":["pods"]}]}`
)

// TestRolesAreEnforced makes, changes and deletes roles and bindings by the API and asks as their subject.
func TestRolesAreEnforced(t *testing.T) {
	c := gatewaytest.New(t)
	jane := clientOf(c, "jane", "devs")
	const refusal = `"message":"pods is forbidden: User \"jane\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\"`
	a := c.Do(jane, "GET", pods, "")
	if want := refusal + `","reason":"Forbidden","details":{"kind":"pods"},"code":403}`; a.Code != 403 || !strings.HasSuffix(strings.TrimSpace(a.Body), want) {
		t.Errorf("without a role: %d %s", a.Code, a.Body)
	}
	c.As("POST", bindings, `{"metadata":{"name":"read"},"roleRef":{"kind":"Role","name":"pod-reader"},"subjects":[{"kind":"Group","name":"devs"}]}`)
	c.Until(func() string {
		a = c.Do(jane, "GET", pods, "")
		if want := refusal + `: RBAC: role.rbac.authorization.k8s.io \"pod-reader\" not found","reason"`; a.Code != 403 || !strings.Contains(a.Body, want) {
			return a.Body
		}
		return ""
	})
	c.As("POST", roles, podReader)
	c.UntilCode(jane, 200, "GET", pods, "")
	c.UntilCode(jane, 403, "GET", "/api/v1/pods", "")
	if a := c.Do(jane, "GET", "/api/v1/pods", ""); !a.Has(`pods is forbidden: User "jane" cannot list resource "pods" in API group "" at the cluster scope`) {
		t.Error(a.Body)
	}
	c.As("PUT", roles+"/pod-reader", strings.Replace(podReader, `"list"`, `"watch"`, 1))
	c.UntilCode(jane, 403, "GET", pods, "")
	if a := c.Do(jane, "GET", pods+"/absent", ""); a.Code != 404 {
		t.Errorf("the role still grants get: %d %s", a.Code, a.Body)
	}
	c.As("DELETE", bindings+"/read", "")
	c.UntilCode(jane, 403, "GET", pods+"/absent", "")
}

// TestValuesWrittenByHand writes roles into etcd that the API would refuse, and that cannot be read: none grants anything, and the
// others still do.
func TestValuesWrittenByHand(t *testing.T) {
	c := gatewaytest.New(t)
	jane := clientOf(c, "jane")
	c.Grant("default", "good", "jane", rbacv1.PolicyRule{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"pods"}})
	put := func(key, value string) {
		t.Helper()
		if _, err := c.Store.Commit(t.Context(), store.Txn{Puts: []store.Put{{Key: "/registry/" + key, Value: []byte(value)}}}); err != nil {
			t.Fatal(err)
		}
	}
	const meta = `"apiVersion":"rbac.authorization.k8s.io/v1","metadata":{"name":"bad","uid":"7a3a3dd6-5d0c-4b23-9bb6-0a4f3f4b3f3a"`
	put("clusterroles/bad", `{"kind":"ClusterRole",`+meta+`},"rules":[{"verbs":["*"],"apiGroups":["*"],"resources":["*"]},{}]}`)
	put("clusterrolebindings/bad", `{"kind":"ClusterRoleBinding",`+meta+`},"roleRef":{"kind":"ClusterRole","name":"bad"},"subjects":[{"kind":"User","name":"jane"}]}`)
	put("clusterrolebindings/worse", `{"kind":`)
	put("roles/default/bad", `{"kind":"Role",`+meta+`,"namespace":"default"},"rules":"all"}`)
	c.Grant("default", "last", "jane", rbacv1.PolicyRule{Verbs: []string{"list"}, APIGroups: []string{""}, Resources: []string{"pods"}})
	c.UntilCode(jane, 200, "GET", pods, "")
	c.UntilCode(jane, 404, "GET", pods+"/absent", "")
	c.Until(func() string { // the binding is followed
		a := c.Do(jane, "GET", "/api/v1/nodes", "")
		if a.Code != 403 {
			t.Fatalf("a role that validation refuses grants: %d %s", a.Code, a.Body)
		}
		if !a.Has(`RBAC: clusterrole.rbac.authorization.k8s.io "bad" not found`) {
			return a.Body
		}
		return ""
	})
}

// TestImpersonation checks that users, groups, service accounts, uids and extra values are impersonated by those alone whose roles say so.
func TestImpersonation(t *testing.T) {
	c := gatewaytest.New(t)
	jane := clientOf(c, "jane")
	can := func(group, resource string, names ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{Verbs: []string{"impersonate"}, APIGroups: []string{group}, Resources: []string{resource}, ResourceNames: names}
	}
	c.Grant("", "impersonate", "jane", can("", "users", "tom"), can("", "groups", "devs"),
		can("authentication.k8s.io", "userextras/scopes", "view"), can("authentication.k8s.io", "uids", "u-1"))
	c.Grant("default", "impersonate", "jane", can("", "serviceaccounts"))
	c.Grant("", "tom", "tom", rbacv1.PolicyRule{Verbs: []string{"list"}, APIGroups: []string{""}, Resources: []string{"pods"}})
	c.UntilCode(jane, 200, "GET", pods, "", "Impersonate-User: tom")
	const who = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
	const refused = `selfsubjectreviews.authentication.k8s.io is forbidden: User "jane" cannot impersonate-on:user-info:create resource "selfsubjectreviews" in API group "authentication.k8s.io" at the cluster scope`
	account := "Impersonate-User: system:serviceaccount:default:bot"
	c.UntilCode(jane, 201, "POST", who, "{}", account)
	for _, tt := range []struct {
		headers []string
		code    int
		want    string
	}{
		{[]string{"Impersonate-User: tom", "Impersonate-Group: devs", "Impersonate-Uid: u-1", "Impersonate-Extra-Scopes: view"}, 201,
			`"userInfo":{"username":"tom","uid":"u-1","groups":["devs","system:authenticated"],"extra":{"scopes":["view"]}}`},
		{[]string{"Impersonate-User: root"}, 403, refused},
		{[]string{"Impersonate-User: tom", "Impersonate-Group: ops"}, 403, refused},
		{[]string{"Impersonate-User: tom", "Impersonate-Uid: u-2"}, 403, refused},
		{[]string{"Impersonate-User: tom", "Impersonate-Extra-Scopes: edit"}, 403, refused},
		{[]string{account}, 201, `"username":"system:serviceaccount:default:bot"`},
		{[]string{"Impersonate-User: system:serviceaccount:kube-system:bot"}, 403, `User "jane" cannot impersonate-on:serviceaccount:create resource "selfsubjectreviews" in API group "authentication.k8s.io"`},
		{[]string{"Impersonate-Group: devs"}, 400, `without impersonating a user name`},
	} {
		if a := c.Do(jane, "POST", who, "{}", tt.headers...); a.Code != tt.code || !a.Has(tt.want) {
			t.Errorf("%v: %d %s", tt.headers, a.Code, a.Body)
		}
	}
}

// TestConstrainedImpersonation checks that what a user does as another is bounded by roles (KEP-5284).
func TestConstrainedImpersonation(t *testing.T) {
	c := gatewaytest.New(t)
	jane := clientOf(c, "jane")
	can := func(verb, group, resource string, names ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{Verbs: []string{verb}, APIGroups: []string{group}, Resources: []string{resource}, ResourceNames: names}
	}
	const authentication = "authentication.k8s.io"
	c.Grant("", "impersonate", "jane", can("impersonate:user-info", authentication, "users", "tom"), can("impersonate:user-info", authentication, "groups"),
		can("impersonate:arbitrary-node", authentication, "nodes", "n1"), can("impersonate-on:arbitrary-node:get", "", "nodes"),
		can("impersonate-on:user-info:list", "", "pods"))
	c.Grant("", "tom", "tom", rbacv1.PolicyRule{Verbs: []string{"list", "get"}, APIGroups: []string{""}, Resources: []string{"pods", "services"}})
	c.UntilCode(jane, 200, "GET", pods, "", "Impersonate-User: tom")
	c.UntilCode(jane, 404, "GET", "/api/v1/nodes/n1", "", "Impersonate-User: system:node:n1") // it may, and there is none
	for _, tt := range []struct {
		path    string
		headers []string
		want    string
	}{
		{"/api/v1/namespaces/default/services", []string{"Impersonate-User: tom"}, `cannot impersonate-on:user-info:list resource "services"`},
		{pods + "/p", []string{"Impersonate-User: tom"}, `cannot impersonate-on:user-info:get resource "pods"`},
		{pods, []string{"Impersonate-User: root"}, `cannot impersonate:user-info resource "users" in API group "authentication.k8s.io"`},
		{pods, []string{"Impersonate-User: tom", "Impersonate-Group: system:masters"}, `impersonating the system:masters group is not allowed`},
		{"/api/v1/nodes/n1", []string{"Impersonate-User: system:node:n2"}, `cannot impersonate:arbitrary-node resource "nodes"`},
		{"/api/v1/nodes/n1", []string{"Impersonate-User: system:serviceaccount:default:bot"}, `cannot impersonate-on:serviceaccount:get resource "nodes"`},
	} {
		if a := c.Do(jane, "GET", tt.path, "", tt.headers...); a.Code != 403 || !a.Has(tt.want) {
			t.Errorf("%s as %v: %d %s, want %q", tt.path, tt.headers, a.Code, a.Body, tt.want)
		}
	}
}
