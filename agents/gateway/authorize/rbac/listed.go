package rbac

import (
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
)

// listed is a line for each resource, or path and verb, of single permissions, as Kubernetes words them:
// {APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}.
func listed(missing []rbacv1.PolicyRule) string {
	var lines []string
	verbs := map[string][]string{} // of a resource, by what precedes them in its line
	for _, r := range missing {
		if len(r.NonResourceURLs) > 0 {
			lines = append(lines, fmt.Sprintf("{NonResourceURLs:%q, Verbs:%q}", r.NonResourceURLs, r.Verbs))
			continue
		}
		head := fmt.Sprintf("{APIGroups:%q, Resources:%q, ", r.APIGroups, r.Resources)
		if len(r.ResourceNames) > 0 {
			head += fmt.Sprintf("ResourceNames:%q, ", r.ResourceNames)
		}
		verbs[head] = append(verbs[head], r.Verbs...)
	}
	for head, list := range verbs {
		lines = append(lines, fmt.Sprintf("%sVerbs:%q}", head, list))
	}
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "\n")
}
