// Package plugins selects the rules of admission of a process by the names that Kubernetes gives its admission plug-ins, with the
// configuration of those that have one, and has the rules that are off unless they are enabled.
//
// The rules that are on are Kubernetes' defaults of 1.36, and NodeRestriction, which is the gateway's own. PodEviction and
// ResourceClaimAdminAccess are no plug-ins: Kubernetes has them in its kinds, and they are always on.
package plugins
