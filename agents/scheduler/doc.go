// Package scheduler binds every pod without a node to the node that suits it best.
//
// One leader schedules at a time; its writes are fenced by the election. It follows pods, nodes and namespaces and keeps sums of every
// node's pods (clusterState). Pods wait in a queue, ordered by priority, then age. For the next one every node is filtered, then
// scored; the pod is assumed on the best node at once and bound in the background while the next one is scheduled.
//
// Pods with equal signatures, as those of one template, share their parsed fields and the results of filters and scores, which hold for a
// node until it changes. The counts over all nodes that affinity and spreading need are kept in a pre-filter state by signature.
//
// A pod that fits no node gets the condition PodScheduled=False with reason Unschedulable and an event FailedScheduling, both with
// kube-scheduler's message. It is retried after a change that may help it: a node that it fits, a pod that its affinity needs, one that
// leaves a node. Where preemption is allowed and enough, pods of lower priority are evicted for it.
//
// Metrics have the names of kube-scheduler's (metrics.go).
package scheduler
