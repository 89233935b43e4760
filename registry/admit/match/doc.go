// Package match tells which writes a webhook or a policy is about, and shows it the objects in the version it is for: rules, selectors
// and match conditions of admissionregistration.k8s.io/v1.
package match
