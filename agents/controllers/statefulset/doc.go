// Package statefulset has the controller of StatefulSets: pods with names, hosts and volume claims that stay.
//
// The pod of ordinal n is <set>-<n>. By default pods are made from the lowest ordinal up, and deleted and updated from the highest down, each
// when all others are available; with podManagementPolicy Parallel they are made and deleted at once. A rollout whose pods never become
// available waits, also when the template is changed back: somebody has to delete the broken pod, as in Kubernetes.
package statefulset
