// Package policies has the rules MutatingAdmissionPolicy and ValidatingAdmissionPolicy: writes are changed and checked by the CEL expressions of
// the policies of admissionregistration.k8s.io/v1 and their bindings, in this process. It follows KEP-3962 and KEP-3488.
package policies
