package rbac

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/gateway/authorize"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/rbac"
)

// fixture is an Authorizer whose index the test itself changes.
type fixture struct {
	testing.TB
	*Authorizer
}

func newFixture(t testing.TB) fixture {
	z := New(nil, slog.New(slog.DiscardHandler))
	z.markFilled()
	return fixture{t, z}
}

func (f fixture) item(k *schema.Kind, obj schema.Object) *registry.Item {
	f.Helper()
	obj.SetUID("00000000-0000-0000-0000-000000000001")
	obj.GetObjectKind().SetGroupVersionKind(k.GVK())
	data, err := json.Marshal(obj)
	if err != nil {
		f.Fatal(err)
	}
	it, err := registry.NewItem(k, data)
	if err != nil {
		f.Fatal(err)
	}
	return it
}

// setRole gives a role rules: verbs, groups, resources and names with commas, or verbs and a path. No rules delete it.
func (f fixture) setRole(namespace, name string, rules ...string) {
	f.Helper()
	var all []rbacv1.PolicyRule
	for _, text := range rules {
		parts := strings.Fields(text)
		split := func(i int) (list []string) {
			for _, s := range strings.Split(parts[i], ",") {
				list = append(list, strings.TrimSuffix(s, "core"))
			}
			return list
		}
		r := rbacv1.PolicyRule{Verbs: split(0)}
		switch len(parts) {
		case 2:
			r.NonResourceURLs = split(1)
		case 4:
			r.ResourceNames = split(3)
			fallthrough
		default:
			r.APIGroups, r.Resources = split(1), split(2)
		}
		all = append(all, r)
	}
	var it *registry.Item
	if namespace == "" {
		it = f.item(rbac.ClusterRole, &rbacv1.ClusterRole{ObjectMeta: meta(namespace, name), Rules: all})
	} else {
		it = f.item(rbac.Role, &rbacv1.Role{ObjectMeta: meta(namespace, name), Rules: all})
	}
	if len(rules) == 0 {
		f.role(registry.Change{Old: it})
		return
	}
	f.role(registry.Change{New: it})
}

// bind binds "Role/name" or "ClusterRole/name" to subjects: "User/name", "Group/name" or "ServiceAccount/namespace/name". No subjects delete it.
func (f fixture) bind(namespace, name, role string, subjects ...string) {
	f.Helper()
	kind, roleName, _ := strings.Cut(role, "/")
	ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: roleName}
	var all []rbacv1.Subject
	for _, text := range subjects {
		parts := strings.Split(text, "/")
		s := rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: parts[0], Name: parts[len(parts)-1]}
		if s.Kind == rbacv1.ServiceAccountKind {
			s.APIGroup, s.Namespace = "", strings.Join(parts[1:len(parts)-1], "")
		}
		all = append(all, s)
	}
	var it *registry.Item
	if namespace == "" {
		it = f.item(rbac.ClusterRoleBinding, &rbacv1.ClusterRoleBinding{ObjectMeta: meta(namespace, name), RoleRef: ref, Subjects: all})
	} else {
		it = f.item(rbac.RoleBinding, &rbacv1.RoleBinding{ObjectMeta: meta(namespace, name), RoleRef: ref, Subjects: all})
	}
	if len(subjects) == 0 {
		f.binding(registry.Change{Old: it})
		return
	}
	f.binding(registry.Change{New: it})
}

func meta(namespace, name string) (m metav1.ObjectMeta) {
	m.Namespace, m.Name = namespace, name
	return m
}

func user(name string, groups ...string) authenticationv1.UserInfo {
	return authenticationv1.UserInfo{Username: name, Groups: groups}
}

// ask asks for "verb group resource[/subresource] namespace [name]", "core" and "-" being "", or for "verb /path".
func (f fixture) ask(u authenticationv1.UserInfo, what string) (allowed bool, reason string) {
	f.Helper()
	parts := strings.Fields(strings.ReplaceAll(what, " core ", " - "))
	for i, p := range parts {
		parts[i] = strings.TrimPrefix(p, "-")
	}
	a := authorize.Attributes{User: u, Verb: parts[0]}
	if len(parts) == 2 {
		a.Path = parts[1]
	} else {
		a.IsResource, a.Group, a.Namespace = true, parts[1], parts[3]
		a.Plural, a.Subresource, _ = strings.Cut(parts[2], "/")
		if len(parts) > 4 {
			a.Name = parts[4]
		}
	}
	d, reason, err := f.Authorize(f.Context(), a)
	if err != nil {
		f.Fatal(err)
	}
	return d == authorize.Allowed, reason
}

// TestAuthorize checks what roles and bindings grant, and to whom.
func TestAuthorize(t *testing.T) {
	f := newFixture(t)
	f.setRole("", "everything", "* * *", "* *")
	f.setRole("", "reader", "get,list core pods,pods/log", "get apps deployments web", "get,update * */scale", "get /metrics,/debug/*,/a**")
	f.setRole("a", "editor", "update core configmaps")
	f.setRole("b", "editor", "delete core configmaps")
	f.bind("", "root", "ClusterRole/everything", "User/root", "Group/wheel")
	f.bind("", "readers", "ClusterRole/reader", "Group/readers", "ServiceAccount/a/bot")
	f.bind("a", "local", "ClusterRole/reader", "User/jane")
	f.bind("a", "editors", "Role/editor", "User/jane", "ServiceAccount//here", "ServiceAccount/b/there", "Group/system:serviceaccounts:c")
	f.bind("a", "dangling", "Role/absent", "User/jane", "User/tom", "Group/two")
	f.bind("", "dangling", "ClusterRole/gone", "User/tom")
	const editors = `RBAC: allowed by RoleBinding "editors/a" of Role "editor" to `
	for _, tt := range []struct {
		user    authenticationv1.UserInfo
		what    string
		allowed bool
		reason  string
	}{
		{user("root"), "delete core nodes - n1", true, `RBAC: allowed by ClusterRoleBinding "root" of ClusterRole "everything" to User "root"`},
		{user("x", "y", "wheel"), "post /x", true, `RBAC: allowed by ClusterRoleBinding "root" of ClusterRole "everything" to Group "wheel"`},
		{user("wheel"), "get core pods a", false, ""},
		{user("x", "root"), "get core pods a", false, ""},
		{user("x", "readers"), "list core pods -", true, `RBAC: allowed by ClusterRoleBinding "readers" of ClusterRole "reader" to Group "readers"`},
		{user("x", "readers"), "watch core pods -", false, ""},
		{user("x", "readers"), "list apps pods -", false, ""},
		{user("x", "readers"), "get core pods/log b p", true, `RBAC: allowed by ClusterRoleBinding "readers" of ClusterRole "reader" to Group "readers"`},
		{user("x", "readers"), "get core pods/exec b p", false, ""},
		{user("x", "readers"), "get apps deployments b web", true, `RBAC: allowed by ClusterRoleBinding "readers" of ClusterRole "reader" to Group "readers"`},
		{user("x", "readers"), "get apps deployments b other", false, ""},
		{user("x", "readers"), "get apps deployments b", false, ""},
		{user("x", "readers"), "update example.com webs/scale b w", true, `RBAC: allowed by ClusterRoleBinding "readers" of ClusterRole "reader" to Group "readers"`},
		{user("x", "readers"), "get /metrics", true, `RBAC: allowed by ClusterRoleBinding "readers" of ClusterRole "reader" to Group "readers"`},
		{user("x", "readers"), "get /metrics/", false, ""},
		{user("x", "readers"), "head /metrics", false, ""},
		{user("x", "readers"), "get /debug/pprof/", true, `RBAC: allowed by ClusterRoleBinding "readers" of ClusterRole "reader" to Group "readers"`},
		{user("x", "readers"), "get /debug", false, ""},
		{user("x", "readers"), "get /ab", true, `RBAC: allowed by ClusterRoleBinding "readers" of ClusterRole "reader" to Group "readers"`},
		{user("system:serviceaccount:a:bot"), "list core pods -", true, `RBAC: allowed by ClusterRoleBinding "readers" of ClusterRole "reader" to ServiceAccount "bot/a"`},
		{user("system:serviceaccount:b:bot"), "list core pods -", false, ""},
		{user("jane"), "list core pods a", true, `RBAC: allowed by RoleBinding "local/a" of ClusterRole "reader" to User "jane"`},
		{user("jane"), "list core pods b", false, ""},
		{user("jane"), "list core pods -", false, ""},
		{user("jane"), "get /metrics", false, ""},
		{user("jane"), "update core configmaps a m", true, editors + `User "jane"`},
		{user("jane"), "delete core configmaps a m", false, `RBAC: role.rbac.authorization.k8s.io "absent" not found`},
		{user("jane"), "update core configmaps b m", false, ""},
		{user("system:serviceaccount:a:here"), "update core configmaps a m", true, editors + `ServiceAccount "here/a"`},
		{user("system:serviceaccount:b:there"), "update core configmaps a m", true, editors + `ServiceAccount "there/b"`},
		{user("system:serviceaccount:c:any", "system:serviceaccounts", "system:serviceaccounts:c"), "update core configmaps a m", true, editors + `Group "system:serviceaccounts:c"`},
		{user("tom", "two"), "get core pods a", false,
			`RBAC: [clusterrole.rbac.authorization.k8s.io "gone" not found, role.rbac.authorization.k8s.io "absent" not found]`},
	} {
		allowed, reason := f.ask(tt.user, tt.what)
		if allowed != tt.allowed || reason != tt.reason {
			t.Errorf("%s, %v: %s: got %v %q, want %v %q", tt.user.Username, tt.user.Groups, tt.what, allowed, reason, tt.allowed, tt.reason)
		}
	}
}

// TestRules checks that each rule of a user is listed once, and that a role that does not exist is told of.
func TestRules(t *testing.T) {
	f := newFixture(t)
	f.setRole("", "view", "get core pods", "get /metrics")
	f.setRole("a", "edit", "update core pods p")
	f.bind("", "view", "ClusterRole/view", "User/jane", "Group/g", "Group/h")
	f.bind("a", "edit", "Role/edit", "User/jane")
	f.bind("a", "none", "Role/none", "User/jane")
	got, err := f.Rules(t.Context(), user("jane", "g", "h"), "a")
	if err == nil || err.Error() != `role.rbac.authorization.k8s.io "none" not found` {
		t.Errorf("error %v", err)
	}
	want := authorize.Rules{
		Resources: []authorizationv1.ResourceRule{
			{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"pods"}},
			{Verbs: []string{"update"}, APIGroups: []string{""}, Resources: []string{"pods"}, ResourceNames: []string{"p"}},
		},
		Paths: []authorizationv1.NonResourceRule{{Verbs: []string{"get"}, NonResourceURLs: []string{"/metrics"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestInvalidGrantsNothing checks that roles and bindings that validation refuses, as only those written past the API can be, grant nothing,
// also where they replace valid ones.
func TestInvalidGrantsNothing(t *testing.T) {
	f := newFixture(t)
	all := []string{"* * *"}
	f.setRole("", "all", all...)
	f.setRole("a", "all", all...)
	for _, tt := range []struct {
		name string
		set  func()
	}{
		{"a binding of the cluster to a role", func() { f.bind("", "b", "Role/all", "User/jane") }},
		{"a subject of no kind", func() { f.bind("", "b", "ClusterRole/all", "User/jane", "x/y") }},
		{"a role without a name", func() { f.bind("a", "b", "Role/", "User/jane") }},
		{"a role of a name with a slash", func() { f.bind("a", "b", "Role/../all", "User/jane") }},
		{"a role with paths in a namespace", func() { f.bind("a", "b", "Role/all", "User/jane"); f.setRole("a", "all", "* * *", "* *") }},
		{"a role of the cluster with a rule without verbs", func() {
			f.bind("", "b", "ClusterRole/all", "User/jane")
			f.role(registry.Change{New: f.item(rbac.ClusterRole, &rbacv1.ClusterRole{
				ObjectMeta: meta("", "all"),
				Rules:      []rbacv1.PolicyRule{{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}}, {APIGroups: []string{"*"}, Resources: []string{"*"}}},
			})})
		}},
	} {
		f.bind("a", "b", "Role/all", "User/jane")
		f.bind("", "b", "ClusterRole/all", "User/jane")
		if allowed, _ := f.ask(user("jane"), "get core pods a"); !allowed {
			t.Fatal("jane has no role")
		}
		f.bind("a", "b", "")
		f.bind("", "b", "")
		tt.set()
		if allowed, reason := f.ask(user("jane"), "get core pods a"); allowed {
			t.Errorf("%s: %s", tt.name, reason)
		}
		f.setRole("", "all", all...)
		f.setRole("a", "all", all...)
	}
}

// TestChangesAreApplied makes random changes and compares the decisions with those of an index that is made anew of what there is.
func TestChangesAreApplied(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...string) string { return list[rng.IntN(len(list))] }
	f := newFixture(t)
	roles, bindings := map[[2]string]string{}, map[[2]string][]string{}
	for range 400 {
		id := [2]string{pick("", "a", "b"), pick("r1", "r2", "r3")}
		if rng.IntN(2) == 0 {
			if rng.IntN(4) == 0 {
				delete(roles, id)
				f.setRole(id[0], id[1])
			} else {
				roles[id] = pick("get", "list", "get,list") + " core " + pick("pods", "secrets", "pods,secrets")
				f.setRole(id[0], id[1], roles[id])
			}
		} else {
			role := "ClusterRole/"
			if id[0] != "" {
				role = pick("ClusterRole/", "Role/")
			}
			b := []string{role + pick("r1", "r2", "r3")}
			for range rng.IntN(4) {
				b = append(b, pick("User/u1", "User/u2", "Group/g1", "Group/g2", "ServiceAccount/a/s"))
			}
			bindings[id] = b
			f.bind(id[0], id[1], b[0], b[1:]...)
		}
		fresh := newFixture(t)
		for id, rule := range roles {
			fresh.setRole(id[0], id[1], rule)
		}
		for id, b := range bindings {
			fresh.bind(id[0], id[1], b[0], b[1:]...)
		}
		for _, u := range []authenticationv1.UserInfo{user("u1"), user("u2", "g1"), user("x", "g1", "g2"), user("system:serviceaccount:a:s", "g2")} {
			what := pick("get", "list") + " core " + pick("pods", "secrets") + " " + pick("a", "b", "-")
			got, why := f.ask(u, what)
			want, whyNot := fresh.ask(u, what)
			if got != want || why != whyNot {
				t.Fatalf("%s %v: %s: %v %q, made anew %v %q", u.Username, u.Groups, what, got, why, want, whyNot)
			}
		}
	}
	for id, b := range bindings {
		f.bind(id[0], id[1], b[0])
	}
	if n := len(f.index.bound) + len(f.index.bindings); n != 0 {
		t.Errorf("%d entries are left of bindings that are gone", n)
	}
}

// BenchmarkAuthorize measures decisions at 10,000 bindings, and one change of them.
func BenchmarkAuthorize(b *testing.B) {
	f := newFixture(b)
	f.setRole("", "edit", "get,list,watch,create,update,patch,delete core pods,services,configmaps", "get apps deployments", "* batch jobs")
	f.setRole("", "basic", "create authorization.k8s.io selfsubjectaccessreviews")
	f.bind("", "basic", "ClusterRole/basic", "Group/system:authenticated")
	for i := range 10_000 {
		ns := fmt.Sprintf("ns%d", i/10)
		f.bind(ns, fmt.Sprintf("b%d", i%10), "ClusterRole/edit", fmt.Sprintf("User/u%d", i), "Group/team"+ns)
	}
	u := user("u5005", "teamns7", "teamns500", "system:authenticated")
	for name, what := range map[string]string{"allowed": "create core pods ns500", "refused": "create core secrets ns500"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f.ask(u, what)
			}
		})
	}
	b.Run("change", func(b *testing.B) {
		it := f.item(rbac.RoleBinding, &rbacv1.RoleBinding{
			ObjectMeta: meta("ns3", "b3"), RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edit"},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "u"}},
		})
		for b.Loop() {
			f.binding(registry.Change{New: it})
		}
	})
}
