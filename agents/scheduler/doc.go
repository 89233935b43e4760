// Package scheduler gives every pod without a node the node that suits it best.
//
// One leader at a time decides; its writes are fenced by the election. It follows pods, nodes and namespaces and accounts
// for every pod on its node change by change (world). Pods wait in a queue by priority, then age. For the next one every node is
// filtered, then scored; the pod is accounted for at once (assumed) and bound while the next one is decided on, many at a
// time. Nothing limits the rate.
//
// Pods made of one template are one class: what a class needs is parsed once, and what was found out about a node holds
// for the class until the node changes. What filters and scores need to know beyond one node (affinity, spreading) is counted
// once and kept up to date.
//
// A pod that fits nowhere gets the condition PodScheduled=False with reason Unschedulable and an event FailedScheduling, both
// with the explanation that Kubernetes would give. It is parked until a change that could help it: a node that it would fit, a
// pod that it waits for, one that leaves. Where that is allowed and enough, pods of lower priority are evicted for it.
//
// Metrics have the names of Kubernetes' scheduler (metrics.go).
package scheduler
