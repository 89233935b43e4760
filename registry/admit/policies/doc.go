// Package policies has the rule ValidatingAdmissionPolicy: writes are checked by the CEL expressions of the policies of
// admissionregistration.k8s.io/v1 and their bindings, in this process. It follows KEP-3488.
package policies
