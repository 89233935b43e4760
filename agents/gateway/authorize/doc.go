// Package authorize says what a user may do.
//
// An Authorizer allows a request or has no opinion; the first that allows decides, and nobody's opinion is a refusal. A refusal
// is Forbidden with the reasons of all. Access reviews ask the same authorizers.
//
// NodeRestriction is admission, not permission: it looks at what a node writes, object by object, where the node's permission
// leaves that open.
package authorize
