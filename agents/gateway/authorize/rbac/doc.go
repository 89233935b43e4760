// Package rbac decides by roles and bindings what users may do, as Kubernetes' RBAC does:
// https://kubernetes.io/docs/reference/access-authn-authz/rbac/.
//
// An index has the bindings of each subject and the rules of each role. It follows the registry's caches: a change of one role or one
// binding changes one entry of it, and a decision looks at the bindings of the user and of the user's groups, whatever the number of others.
//
// Values in etcd may have been written by hand. A role or a binding that its kind's validation refuses is skipped with a line in
// the log: it grants nothing.
package rbac
