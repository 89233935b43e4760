// Package scheduler binds every pod without a node to the node that suits it best.
//
// Run blocks until ctx is done and returns nil then; everything it started has ended. One leader schedules at a time; its writes are fenced
// by the election. It writes bindings, the condition PodScheduled, nominations, events, and deletes the victims of preemption; nothing else.
//
// It follows pods, nodes and namespaces and keeps sums of every node's pods (ClusterState). Pods wait in a queue, ordered by
// priority, then age. For the next one every node is filtered, then scored; what it needs is reserved, and it is assumed on the best node at
// once. It is bound in the background while the next one is scheduled. No node gets more than it has as far as the scheduler knows;
// pods that others bind are not checked.
//
// Filters, scores, reserve, unreserve and pre-bind are functions of plug-ins: one file and one row in a table each (package plugins). What they
// work on is package framework.
//
// Pods with equal signatures, as those of one template, share their parsed fields and the results of filters and scores, which hold for a
// node until it changes.
//
// A pod that fits no node gets the condition PodScheduled=False with reason Unschedulable and an event FailedScheduling, both with
// kube-scheduler's message. It is retried after a change that may help it: an event of a plug-in that rejected it. Where preemption is allowed and enough, pods of lower priority are evicted for it. Where a reservation, a pre-bind or a
// binding fails, or scheduling it panics, the pod is retried after its back-off, with reason SchedulerError.
//
// All queues between goroutines are bounded. Metrics have the names of kube-scheduler's (metrics.go). DESIGN.md says why it is so.
package scheduler
