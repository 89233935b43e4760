package lifecycle_test

import (
	"fmt"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"

	"gantry/agents/controllers"
	"gantry/agents/controllers/controllertest"
	"gantry/registry/registrytest"
	"gantry/schema/rbac"
)

func TestClusterRolesAreAggregated(t *testing.T) {
	c := controllertest.Start(t, func(cfg *controllers.Config) { cfg.Controllers = []string{"clusterroleaggregation"} })
	until := func(name, want string) {
		t.Helper()
		c.Until(func() string {
			role, _ := controllertest.Get[*rbacv1.ClusterRole](c, "", name)
			var got []string
			if role != nil {
				for _, r := range role.Rules {
					got = append(got, fmt.Sprintf("%s %s", strings.Join(r.Verbs, ","), strings.Join(r.Resources, ",")))
				}
			}
			if s := strings.Join(got, "; "); s != want {
				return fmt.Sprintf("%q in %s, which has %q", want, name, s)
			}
			return ""
		}, rbac.ClusterRole)
	}
	c.Apply(`apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: all}
aggregationRule: {clusterRoleSelectors: [{matchLabels: {to: all}}, {matchLabels: {to: some}}]}
rules: [{apiGroups: [""], resources: [nodes], verbs: [delete]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: some, labels: {to: all}}
aggregationRule: {clusterRoleSelectors: [{matchLabels: {to: some}}]}
rules: []
`)
	until("all", "")
	for name, resource := range map[string]string{"b": "pods", "a": "services", "c": "pods"} {
		c.Apply(fmt.Sprintf(`apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: %s, labels: {to: some}}
rules: [{apiGroups: [""], resources: [%s], verbs: [get]}]
`, name, resource))
	}
	until("some", "get services; get pods")
	until("all", "get services; get pods")

	registrytest.Modify(t, c.Registry, "", "some", "", func(r *rbacv1.ClusterRole) { r.Rules = nil })
	registrytest.Modify(t, c.Registry, "", "a", "", func(r *rbacv1.ClusterRole) { r.Rules[0].Verbs = []string{"list"} })
	until("some", "list services; get pods")
	until("all", "list services; get pods")
	registrytest.Modify(t, c.Registry, "", "a", "", func(r *rbacv1.ClusterRole) { r.Labels = nil })
	until("all", "get pods")
}
