package rbac_test

import (
	"fmt"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"

	"gantry/agents/gateway/gatewaytest"
)

func rule(verbs, group, resources string, names ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: strings.Fields(verbs), APIGroups: []string{group}, Resources: strings.Fields(resources), ResourceNames: names}
}

const everyVerb = "get list watch create update patch delete"

// TestNobodyGrantsWhatHeHasNot writes roles and bindings, in every way, as one who may write them and has few permissions himself.
func TestNobodyGrantsWhatHeHasNot(t *testing.T) {
	c := gatewaytest.New(t)
	c.Namespaces("other")
	jane := clientOf(c, "jane", "devs")
	c.Grant("", "writer", "jane", rule(everyVerb, rbacv1.GroupName, "roles rolebindings clusterroles clusterrolebindings"))
	c.Grant("default", "own", "jane", rule("get list", "", "pods"), rule("get", "apps", "deployments", "web"))
	c.Grant("", "prober", "jane", rbacv1.PolicyRule{Verbs: []string{"get"}, NonResourceURLs: []string{"/probe/*"}})
	c.Grant("default", "secrets", "root", rule("get list", "", "secrets"))
	c.Grant("", "secrets", "root", rule("get list", "", "secrets"))
	c.Grant("default", "wide", "root", rule("get list", "", "secrets"), rule("get", "", "pods"))
	c.Grant("default", "last", "jane", rule("watch", "", "pods"))
	c.UntilCode(jane, 200, "GET", pods, "")
	c.Until(func() string {
		if a := c.Do(jane, "GET", pods+"?watch=1&timeoutSeconds=1", ""); a.Code != 200 {
			return a.Body
		}
		return ""
	})
	role := func(name, rules string) string { return `{"metadata":{"name":"` + name + `"},"rules":[` + rules + `]}` }
	bind := func(name, kind, role string) string {
		return `{"metadata":{"name":"` + name + `"},"roleRef":{"kind":"` + kind + `","name":"` + role + `"},"subjects":[{"kind":"User","name":"tom"}]}`
	}
	typed := func(kind, body string) string {
		return `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"` + kind + `",` + body[1:]
	}
	const (
		readPods   = `{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}`
		readOthers = `{"verbs":["get","delete"],"apiGroups":["","apps"],"resources":["pods","secrets"]}`
		apply      = "Content-Type: application/apply-patch+yaml"
		merge      = "Content-Type: application/merge-patch+json"
		clusterB   = group + "/clusterrolebindings"
		grant      = `is forbidden: user "jane" (groups=["devs" "system:authenticated"]) is attempting to grant RBAC permissions not currently held:` + "\n"
		noSecrets  = grant + `{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}`
	)
	for _, tt := range []struct {
		name, method, path, body string
		headers                  []string
		code                     int
		want                     string
	}{
		{"a role of her own rules", "POST", roles, role("a", readPods), nil, 201, ""},
		{"a name that she has", "POST", roles, role("b", `{"verbs":["get"],"apiGroups":["apps"],"resources":["deployments"],"resourceNames":["web"]}`), nil, 201, ""},
		{"all names", "POST", roles, role("c", `{"verbs":["get"],"apiGroups":["apps"],"resources":["deployments"]}`), nil, 403, `roles.rbac.authorization.k8s.io "c" ` + grant + `{APIGroups:["apps"], Resources:["deployments"], Verbs:["get"]}`},
		{"more verbs and groups", "POST", roles, role("c", readOthers), nil, 403, grant + `{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}` + "\n" +
			`{APIGroups:[""], Resources:["secrets"], Verbs:["get" "delete"]}` + "\n" + `{APIGroups:["apps"], Resources:["pods"], Verbs:["get" "delete"]}` + "\n" +
			`{APIGroups:["apps"], Resources:["secrets"], Verbs:["get" "delete"]}`},
		{"elsewhere", "POST", group + "/namespaces/other/roles", role("a", readPods), nil, 403, grant + `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`},
		{"in the cluster", "POST", clusterRoles, role("a", readPods), nil, 403, `clusterroles.rbac.authorization.k8s.io "a" ` + grant},
		{"a path", "POST", clusterRoles, role("p", `{"verbs":["get"],"nonResourceURLs":["/probe/a","/probe/b*"]}`), nil, 201, ""},
		{"another path", "POST", clusterRoles, role("q", `{"verbs":["get","post"],"nonResourceURLs":["/probe/a"]}`), nil, 403, grant + `{NonResourceURLs:["/probe/a"], Verbs:["post"]}`},
		{"by PUT", "PUT", roles + "/a", role("a", readOthers), nil, 403, grant},
		{"made by PUT", "PUT", roles + "/new", role("new", readOthers), nil, 403, grant},
		{"made by PUT of her own", "PUT", roles + "/new", role("new", readPods), nil, 201, ""},
		{"by patch", "PATCH", roles + "/a", `{"rules":[` + readOthers + `]}`, []string{merge}, 403, grant},
		{"by apply", "PATCH", roles + "/a?fieldManager=m&force=1", typed("Role", role("a", readOthers)), []string{apply}, 403, grant},
		{"made by apply", "PATCH", roles + "/x?fieldManager=m", typed("Role", role("x", readOthers)), []string{apply}, 403, grant},
		{"by key", "PUT", "/registry/roles/default/a", role("a", readOthers), nil, 403, grant},
		{"made by key", "PUT", "/registry/roles/default/x", role("x", readOthers), nil, 403, grant},
		{"a dry run", "POST", roles + "?dryRun=All", role("x", readOthers), nil, 403, grant},
		{"what another wrote, unchanged", "PATCH", roles + "/wide", `{"metadata":{"labels":{"a":"b"}}}`, []string{merge}, 403, noSecrets},
		{"but its finalizers", "PATCH", roles + "/wide", `{"metadata":{"finalizers":["example.com/x"]}}`, []string{merge}, 200, ""},
		{"aggregation", "POST", clusterRoles, `{"metadata":{"name":"g"},"aggregationRule":{"clusterRoleSelectors":[{"matchLabels":{"a":"b"}}]}}`, nil, 403,
			`clusterroles.rbac.authorization.k8s.io "g" is forbidden: must have cluster-admin privileges to use the aggregationRule`},
		{"too many to compare", "POST", roles, role("m", `{"verbs":["get"],"apiGroups":["a"],"resources":[`+list(3000)+`],"resourceNames":[`+list(3000)+`]}`), nil, 403, "more than 20000 permissions"},

		{"a binding of her own rules", "POST", bindings, bind("a", "Role", "a"), nil, 201, ""},
		{"of others", "POST", bindings, bind("s", "Role", "secrets"), nil, 403, `rolebindings.rbac.authorization.k8s.io "s" ` + noSecrets},
		{"of a cluster role", "POST", bindings, bind("s", "ClusterRole", "secrets"), nil, 403, noSecrets},
		{"in the cluster", "POST", clusterB, bind("s", "ClusterRole", "secrets"), nil, 403, `clusterrolebindings.rbac.authorization.k8s.io "s" ` + noSecrets},
		{"of a role that is not there", "POST", bindings, bind("s", "Role", "absent"), nil, 404, `roles.rbac.authorization.k8s.io "absent" not found`},
		{"of no kind of role", "POST", bindings, bind("s", "Job", "x"), nil, 422, `roleRef.kind: Unsupported value: "Job"`},
		{"herself, to a binding", "PATCH", bindings + "/secrets", `{"subjects":[{"kind":"User","name":"jane","apiGroup":"rbac.authorization.k8s.io"}]}`, []string{merge}, 403, noSecrets},
		{"herself, by PUT", "PUT", clusterB + "/secrets", bind("secrets", "ClusterRole", "secrets"), nil, 403, noSecrets},
		{"herself, by apply", "PATCH", bindings + "/secrets?fieldManager=m&force=1", typed("RoleBinding", bind("secrets", "Role", "secrets")), []string{apply}, 403, noSecrets},
		{"herself, by key", "PUT", "/registry/rolebindings/default/secrets", bind("secrets", "Role", "secrets"), nil, 403, noSecrets},
	} {
		a := c.Do(jane, tt.method, tt.path, tt.body, tt.headers...)
		if a.Code != tt.code || !a.Has(tt.want) {
			t.Errorf("%s: %d %s\nwant %d %s", tt.name, a.Code, a.Body, tt.code, tt.want)
		}
	}

	// Who may escalate and bind may grant what he has not, and only there and that.
	c.Grant("default", "escalator", "jane", rule("escalate", rbacv1.GroupName, "roles"), rule("bind", rbacv1.GroupName, "clusterroles", "secrets"))
	c.UntilCode(jane, 200, "PUT", roles+"/a", role("a", readOthers))
	c.UntilCode(jane, 201, "POST", bindings, bind("s", "ClusterRole", "secrets"))
	for _, tt := range []struct{ path, body string }{
		{group + "/namespaces/other/roles", role("e", readOthers)},
		{clusterRoles, role("e", readOthers)},
		{bindings, bind("t", "Role", "secrets")},
		{clusterB, bind("t", "ClusterRole", "secrets")},
	} {
		if a := c.Do(jane, "POST", tt.path, tt.body); a.Code != 403 || !a.Has(grant) {
			t.Errorf("%s: %d %s", tt.path, a.Code, a.Body)
		}
	}
	c.Grant("", "all", "jane", rule("*", "*", "*"), rbacv1.PolicyRule{Verbs: []string{"*"}, NonResourceURLs: []string{"*"}})
	c.UntilCode(jane, 201, "POST", clusterRoles, `{"metadata":{"name":"g"},"aggregationRule":{"clusterRoleSelectors":[{"matchLabels":{"a":"b"}}]}}`)
}

// list is n strings in JSON.
func list(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("%q", fmt.Sprint("r", i)))
	}
	return strings.Join(all, ",")
}
