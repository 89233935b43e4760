package bootstrappolicy_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"gantry/schema"
	"gantry/schema/rbac"
	"gantry/schema/rbac/bootstrappolicy"
)

// upstream is where Kubernetes' own lists are:
// k8s.io/kubernetes@v1.36.3/plugin/pkg/auth/authorizer/rbac/bootstrappolicy/testdata.
var upstream = flag.String("upstream", "", "rewrite the golden file from the lists in this directory")

const golden = "testdata/kubernetes-1.36.3.txt"

// TestPolicyIsKubernetes compares every rule and every subject with Kubernetes' lists.
func TestPolicyIsKubernetes(t *testing.T) {
	if *upstream != "" {
		if err := os.WriteFile(golden, []byte(strings.Join(readUpstream(t), "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range bootstrappolicy.ClusterRoles() {
		if !strings.HasPrefix(r.Name, "gantry:") {
			got = append(got, roleLines("ClusterRole", r.ObjectMeta.Namespace, r.Name, r.Labels, r.Annotations, r.Rules, r.AggregationRule)...)
		}
	}
	for _, r := range bootstrappolicy.Roles() {
		got = append(got, roleLines("Role", r.Namespace, r.Name, r.Labels, r.Annotations, r.Rules, nil)...)
	}
	for _, b := range bootstrappolicy.ClusterRoleBindings() {
		if !strings.HasPrefix(b.Name, "gantry:") {
			got = append(got, bindingLines("ClusterRoleBinding", "", b.Name, b.Labels, b.Annotations, b.RoleRef, b.Subjects)...)
		}
	}
	for _, b := range bootstrappolicy.RoleBindings() {
		got = append(got, bindingLines("RoleBinding", b.Namespace, b.Name, b.Labels, b.Annotations, b.RoleRef, b.Subjects)...)
	}
	slices.Sort(got)
	if diff := cmp.Diff(strings.Split(strings.TrimSpace(string(want)), "\n"), got); diff != "" {
		t.Errorf("(-Kubernetes +Gantry):\n%s", diff)
	}
}

// TestPolicyIsValid checks that all of it can be stored.
func TestPolicyIsValid(t *testing.T) {
	check := func(k *schema.Kind, obj schema.Object) {
		if errs := k.Validate(obj); len(errs) > 0 {
			t.Errorf("%s %s: %v", k.Kind, obj.GetName(), errs)
		}
	}
	for _, r := range bootstrappolicy.ClusterRoles() {
		check(rbac.ClusterRole, r)
	}
	for _, r := range bootstrappolicy.Roles() {
		check(rbac.Role, r)
	}
	for _, b := range bootstrappolicy.ClusterRoleBindings() {
		check(rbac.ClusterRoleBinding, b)
	}
	for _, b := range bootstrappolicy.RoleBindings() {
		check(rbac.RoleBinding, b)
	}
}

// roleLines are a line about a role and one for each permission that it grants.
func roleLines(kind, namespace, name string, labels, annotations map[string]string, rules []rbacv1.PolicyRule, aggregated *rbacv1.AggregationRule) []string {
	head := fmt.Sprintf("%s %s/%s", kind, namespace, name)
	lines := []string{fmt.Sprintf("%s: labels %v, annotations %v", head, labels, annotations)}
	if aggregated != nil {
		for _, s := range aggregated.ClusterRoleSelectors {
			lines = append(lines, fmt.Sprintf("%s: made of %v", head, s.MatchLabels))
		}
	}
	for _, r := range rules {
		for _, verb := range r.Verbs {
			for _, url := range r.NonResourceURLs {
				lines = append(lines, fmt.Sprintf("%s: %s %s", head, verb, url))
			}
			for _, group := range r.APIGroups {
				for _, resource := range r.Resources {
					lines = append(lines, fmt.Sprintf("%s: %s %s.%s %v", head, verb, resource, group, r.ResourceNames))
				}
			}
		}
	}
	return lines
}

// bindingLines are a line about a binding and one for each subject.
func bindingLines(kind, namespace, name string, labels, annotations map[string]string, ref rbacv1.RoleRef, subjects []rbacv1.Subject) []string {
	head := fmt.Sprintf("%s %s/%s", kind, namespace, name)
	lines := []string{fmt.Sprintf("%s: labels %v, annotations %v, of %s %s %s", head, labels, annotations, ref.APIGroup, ref.Kind, ref.Name)}
	for _, s := range subjects {
		lines = append(lines, fmt.Sprintf("%s: to %s %s %s/%s", head, s.APIGroup, s.Kind, s.Namespace, s.Name))
	}
	return lines
}

// readUpstream are the lines of Kubernetes' lists.
func readUpstream(t *testing.T) (lines []string) {
	t.Helper()
	for _, file := range []string{"cluster-roles", "controller-roles", "cluster-role-bindings", "controller-role-bindings", "namespace-roles", "namespace-role-bindings"} {
		data, err := os.ReadFile(filepath.Join(*upstream, file+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var list struct {
			Items []struct {
				rbacv1.ClusterRole
				RoleRef  rbacv1.RoleRef
				Subjects []rbacv1.Subject
			}
		}
		if err := yaml.Unmarshal(data, &list); err != nil {
			t.Fatal(err)
		}
		for _, o := range list.Items {
			if strings.HasSuffix(o.Kind, "Binding") {
				lines = append(lines, bindingLines(o.Kind, o.Namespace, o.Name, o.Labels, o.Annotations, o.RoleRef, o.Subjects)...)
			} else {
				lines = append(lines, roleLines(o.Kind, o.Namespace, o.Name, o.Labels, o.Annotations, o.Rules, o.AggregationRule)...)
			}
		}
	}
	slices.Sort(lines)
	return lines
}
