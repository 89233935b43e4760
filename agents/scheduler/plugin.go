package scheduler

import (
	"context"
	"log/slog"

	corev1 "k8s.io/api/core/v1"

	"gantry/registry"
)

// plugin is one row of the table of plug-ins. Functions that are nil do nothing.
//
// All functions but preBind run on the scheduling loop, one at a time, and must not block: a filter runs for every node. own is what the
// plug-in's preFilter returned for the pod's signature; the plug-in's data where it has no preFilter. Pods, nodes and what the cluster state
// holds are read-only. A panic of reserve, unreserve and preBind counts as an error.
//
// A row without clusterWide filters and scores by the pod's signature, the node's object and the pods on the node alone; its results are
// kept until the node changes. A row that reads anything else, such as other nodes, its own data or reservations, is clusterWide.
type plugin struct {
	name string // of kube-scheduler's plug-in
	doc  string

	clusterWide bool

	// newData returns what the plug-in keeps while this process is the leader.
	newData func(h handle) any

	// sign returns what the plug-in reads of a pod beside signedFields, as a value with a JSON form. Pods with equal signatures are
	// filtered and scored alike.
	sign func(pod *corev1.Pod) any

	// preFilter returns what filter and score need for a signature; nil: both are skipped for it. It runs before the first filter and again
	// after a change of nodes or namespaces. What implements podCounter is told of pods that come and go in between.
	preFilter func(data any, c *clusterState, sig *podSignature) (own any)

	// filter returns in kube-scheduler's words why a pod of the state's signature does not fit n; nil: it fits. unresolvable: evicting pods
	// from n would not help.
	filter func(state *preFilterState, own any, n *node) (reasons []string, unresolvable bool)

	// score returns the score of a node that fits: 0 to maxNodeScore, or any number where normalize is set.
	score     func(state *preFilterState, own any, n *node) float64
	normalize func(scores []float64) // changes the scores of all feasible nodes to 0 to maxNodeScore; not called where all are equal
	weight    int64
	// skipScore returns whether score would give all nodes the same for a pod: it is not run then. Only for clusterWide rows.
	skipScore func(own any) bool

	// reserve sets aside what the pod needs of node, in memory; its result is passed to preBind and unreserve. It runs once the node is
	// chosen. An error ends the attempt: the pod is retried after its back-off.
	reserve func(data any, pod *corev1.Pod, node *corev1.Node) (reserved any, err error)

	// unreserve undoes reserve. It runs once, for all plug-ins in reverse order, where reserve of any plug-in, preBind of any plug-in or the
	// binding failed. reserved is nil where the plug-in's reserve failed or did not run.
	unreserve func(data any, pod *corev1.Pod, node *corev1.Node, reserved any)

	// preBind prepares the node for the pod before the binding is written. It runs off the scheduling loop, for several pods at a time, and
	// may block until ctx is done, which it is when leadership ends and when the pod is deleted. It is skipped for a pod for which the
	// plug-in's reserve returned nil.
	preBind func(ctx context.Context, data any, pod *corev1.Pod, node *corev1.Node, reserved any) error
}

// handle is what plug-ins may use.
type handle struct {
	registry *registry.Registry // writes through it are fenced
	log      *slog.Logger
}

// podCounter is what preFilter returns to be told of pods. Pods that were there before it was made are its own to count (countPods).
type podCounter interface {
	// updatePods is called when by pods of a signature came to n (by > 0) or left it.
	updatePods(n *node, sig *podSignature, by int, terminating bool)
	// dropSignature is called when no pod of a signature is left.
	dropSignature(sig *podSignature)
}
