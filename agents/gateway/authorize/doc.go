// Package authorize decides what users may do.
//
// An Authorizer allows a request or has no opinion; the first that allows decides, and what none allows is refused. A refusal
// is Forbidden with the reasons of all. Access reviews ask the same authorizers.
// Each also lists what a user may do at all, for SelfSubjectRulesReview. An authorizer is one file and one row in New; that of roles and bindings
// is package rbac.
//
// NodeRestriction is admission, not permission: it checks what a node writes, object by object, where the node's permission
// leaves that open.
package authorize
