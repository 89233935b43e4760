// Package placement asks the scheduler's plug-ins about a snapshot: which nodes fit a pod, and why others do not. It writes nothing.
package placement

import (
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"gantry/agents/admin/snapshot"
	"gantry/agents/scheduler/framework"
	"gantry/agents/scheduler/plugins"
	"gantry/registry"
	"gantry/schema/core"
	"gantry/schema/pods"
)

// Cluster is the nodes of a snapshot with the pods on them. Not safe for concurrent use.
type Cluster struct {
	State *framework.ClusterState
	pods  map[string]*framework.PodInfo // by key, those on nodes
}

// New returns the cluster of a snapshot. Plug-ins that read objects of other kinds read them from r.
func New(s *snapshot.Snapshot, r *registry.Registry) *Cluster {
	set := framework.NewPluginSet(plugins.All, framework.Handle{Registry: r, Log: slog.New(slog.DiscardHandler)})
	c := &Cluster{State: framework.NewClusterState(set), pods: map[string]*framework.PodInfo{}}
	for _, e := range s.All(core.Namespace, "") {
		set := labels.Set(e.Object.GetLabels())
		if set == nil {
			set = labels.Set{}
		}
		c.State.SetNamespace(e.Object.GetName(), set)
	}
	for _, e := range s.All(core.Node, "") {
		c.State.SetNode(e.Object.GetName(), e.Object.(*corev1.Node))
	}
	for _, e := range s.All(core.Pod, "") {
		if p := e.Object.(*corev1.Pod); p.Spec.NodeName != "" && !pods.IsTerminal(p) {
			c.place(p, p.Spec.NodeName)
		}
	}
	return c
}

func keyOf(p *corev1.Pod) string { return p.Namespace + "/" + p.Name }

// place accounts for a pod on a node.
func (c *Cluster) place(p *corev1.Pod, node string) {
	c.remove(p)
	info := &framework.PodInfo{Key: keyOf(p), Terminating: p.DeletionTimestamp != nil}
	c.State.SetSignature(info, c.State.SignatureOf(p))
	c.State.AddPod(info, c.State.NodeNamed(node))
	c.pods[info.Key] = info
}

// remove takes a pod from its node, if it is on one.
func (c *Cluster) remove(p *corev1.Pod) {
	info := c.pods[keyOf(p)]
	if info == nil {
		return
	}
	delete(c.pods, info.Key)
	c.State.RemovePod(info)
	c.State.SetSignature(info, nil)
}

// Evaluate returns what every plug-in says of every node for a pod, which does not count itself. The error is why it cannot be parsed.
func (c *Cluster) Evaluate(p *corev1.Pod) ([]framework.Evaluation, *framework.PodSignature, error) {
	if info := c.pods[keyOf(p)]; info != nil {
		node := info.Node.Name
		c.remove(p)
		defer c.place(p, node)
	}
	sig := c.State.SignatureOf(p)
	all, err := c.State.Evaluate(sig)
	return all, sig, err
}
