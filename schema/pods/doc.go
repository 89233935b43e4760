// Package pods answers questions about a pod that several parts ask: which containers it has, whether it has ended or is ready, which
// taints it tolerates, what it requests of a node and which host ports it uses.
//
// It is pure: no I/O, no clock. No function changes its arguments or keeps them, and none panics whatever the pod holds: pods come
// from hand-written etcd values too. Each function states the upstream function it corresponds to and where it differs. Where two
// parts need different answers there are two functions, with the difference in their names.
package pods
