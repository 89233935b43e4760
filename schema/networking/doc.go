// Package networking has the kinds of networking.k8s.io/v1, as Kubernetes v1.36 has them.
package networking
