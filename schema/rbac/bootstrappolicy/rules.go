package bootstrappolicy

import (
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
)

// Verbs that are often granted together.
const (
	read      = "get list watch"
	write     = "create delete deletecollection patch update"
	readWrite = "create delete deletecollection get list patch update watch"
)

// events is the rule to record events.
var events = can("create patch update", "core events.k8s.io", "events")

// can is a rule on resources. Each list is words with spaces between them; the group core is that without a name.
func can(verbs, groups, resources string, names ...string) rbacv1.PolicyRule {
	r := rbacv1.PolicyRule{Verbs: strings.Fields(verbs), APIGroups: strings.Fields(groups), Resources: strings.Fields(resources), ResourceNames: names}
	for i, group := range r.APIGroups {
		if group == "core" {
			r.APIGroups[i] = ""
		}
	}
	return r
}

// url is a rule on paths.
func url(verbs, paths string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: strings.Fields(verbs), NonResourceURLs: strings.Fields(paths)}
}

func user(name string) rbacv1.Subject {
	return rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}
}

func group(name string) rbacv1.Subject {
	return rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: name}
}

func account(namespace, name string) rbacv1.Subject {
	return rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name}
}
