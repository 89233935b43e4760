package framework

import (
	"context"
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/registry"
)

// Plugin is one row of the table of plug-ins. Functions that are nil do nothing.
//
// All functions but PreBind run on the scheduling loop, one at a time, and must not block: a filter runs for every node. own is what the
// plug-in's PreFilter returned for the pod's signature; the plug-in's data where it has no PreFilter. Pods, nodes and what the cluster state
// holds are read-only. A panic of Reserve, Unreserve and PreBind counts as an error.
//
// A row without ClusterWide filters and scores by the pod's signature, the node's object and the pods on the node alone; its results are
// kept until the node changes. A row that reads anything else, such as other nodes, its own data or reservations, is ClusterWide.
type Plugin struct {
	Name string // of kube-scheduler's plug-in
	Doc  string

	ClusterWide bool

	// Configure returns the row for the arguments of a profile (pluginConfig) at path, and their faults; nil: the plug-in takes none. decode
	// sets them strictly.
	Configure func(row Plugin, path *field.Path, decode func(Args) *field.Error) (Plugin, field.ErrorList)

	// Events are the changes that may let a pod fit that Filter rejected: the pod is tried again after one of them. Where the row is not
	// ClusterWide it is tried again if the filters pass the node that the change is about. nil: every change of nodes, pods and namespaces.
	// That a node was added is an event of every row. Objects of other kinds are followed for the row, which is ClusterWide then and reads
	// them by Handle.Registry.
	Events []ClusterEvent

	// NewData returns what the plug-in keeps while this process is the leader.
	NewData func(h Handle) any

	// Sign returns what the plug-in reads of a pod beside signedFields, as a value with a JSON form. Pods with equal signatures are
	// filtered and scored alike.
	Sign func(pod *corev1.Pod) any

	// PreFilter returns what Filter and Score need for a signature; nil: both are skipped for it. It runs before the first filter and again
	// after a change of nodes, of namespaces, or of an object of another kind in Events. What implements PodCounter is told of pods that come and go in between.
	PreFilter func(data any, c *ClusterState, sig *PodSignature) (own any)

	// Filter returns in kube-scheduler's words why a pod of the state's signature does not fit n; nil: it fits. unresolvable: evicting pods
	// from n would not help.
	Filter func(state *PreFilterState, own any, n *NodeInfo) (reasons []string, unresolvable bool)

	// Score returns the score of a node that fits: 0 to MaxNodeScore, or any number where Normalize is set.
	Score     func(state *PreFilterState, own any, n *NodeInfo) float64
	Normalize func(scores []float64) // changes the scores of all feasible nodes to 0 to MaxNodeScore; not called where all are equal
	Weight    int64
	// SkipScore returns whether Score would give all nodes the same for a pod: it is not run then. Only for ClusterWide rows.
	SkipScore func(own any) bool

	// Reserve sets aside what the pod needs of node, in memory; its result is passed to PreBind and Unreserve. It runs once the node is
	// chosen. An error ends the attempt: the pod is retried after its back-off.
	Reserve func(data any, pod *corev1.Pod, node *corev1.Node) (reserved any, err error)

	// Unreserve undoes Reserve. It runs once, for all plug-ins in reverse order, where Reserve of any plug-in, PreBind of any plug-in or the
	// binding failed. reserved is nil where the plug-in's Reserve failed or did not run.
	Unreserve func(data any, pod *corev1.Pod, node *corev1.Node, reserved any)

	// PreBind prepares the node for the pod before the binding is written. It runs off the scheduling loop, for several pods at a time, and
	// may block until ctx is done, which it is when leadership ends and when the pod is deleted. It is skipped for a pod for which the
	// plug-in's Reserve returned nil.
	PreBind func(ctx context.Context, data any, pod *corev1.Pod, node *corev1.Node, reserved any) error
}

// Args are the arguments of a plug-in: a type of k8s.io/kube-scheduler/config/v1 named <plug-in>Args.
type Args interface{ GetObjectKind() schema.ObjectKind }

// Handle is what plug-ins may use.
type Handle struct {
	Registry *registry.Registry // writes through it are fenced
	Log      *slog.Logger
}

// PodCounter is what PreFilter returns to be told of pods. Pods that were there before it was made are its own to count (CountPods).
type PodCounter interface {
	// UpdatePods is called when by pods of a signature came to n (by > 0) or left it.
	UpdatePods(n *NodeInfo, sig *PodSignature, by int, terminating bool)
	// DropSignature is called when no pod of a signature is left.
	DropSignature(sig *PodSignature)
}
