// Package storage has the kinds of storage.k8s.io/v1, as Kubernetes v1.36 has them.
package storage
