// Package bootstrappolicy has the roles and bindings that every cluster has: those of Kubernetes 1.36
// (https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings) with its features that are on by default,
// and Gantry's own, whose names begin with "gantry:".
package bootstrappolicy
