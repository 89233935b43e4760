package placement

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"gantry/agents/scheduler/framework"
	"gantry/schema/pods"
)

// Help returns what would let a pod of sig onto n against one rejection; "": nothing that can be named.
func (c *Cluster) Help(sig *framework.PodSignature, n *framework.NodeInfo, r framework.PluginRejection) string {
	switch r.Plugin {
	case "NodeUnschedulable":
		return "kubectl uncordon " + n.Name
	case "TaintToleration":
		return helpTaint(sig, n)
	case "NodeAffinity":
		return helpAffinity(sig, n)
	case "NodePorts":
		return helpPorts(sig, n)
	case "NodeResourcesFit":
		return helpResources(sig, n, r.Unresolvable)
	case "PodTopologySpread":
		return "another maxSkew or topologyKey, whenUnsatisfiable: ScheduleAnyway, or room in the emptier domains"
	case "InterPodAffinity":
		return "moving the pods that its affinity rules name, or other rules"
	}
	return ""
}

func helpTaint(sig *framework.PodSignature, n *framework.NodeInfo) string {
	t := pods.UntoleratedForScheduling(n.Object.Spec.Taints, sig.Tolerations)
	if t == nil {
		return ""
	}
	return fmt.Sprintf("kubectl taint nodes %s %s:%s-, or a toleration for it", n.Name, t.Key, t.Effect)
}

// helpAffinity names the labels of the node selector that the node lacks.
func helpAffinity(sig *framework.PodSignature, n *framework.NodeInfo) string {
	var lacks []string
	for key, value := range sig.Pod.Spec.NodeSelector {
		if have, ok := n.Label(key); !ok || have != value {
			lacks = append(lacks, key+"="+value)
		}
	}
	if len(lacks) == 0 {
		return "labels on the node that the pod's required node affinity asks for"
	}
	slices.Sort(lacks)
	return fmt.Sprintf("kubectl label nodes %s %s", n.Name, strings.Join(lacks, " "))
}

// helpPorts names the pods that have the ports.
func helpPorts(sig *framework.PodSignature, n *framework.NodeInfo) string {
	var holders []string
	for key, p := range n.Pods {
		for _, have := range p.Signature.Ports {
			if slices.ContainsFunc(sig.Ports, func(want pods.HostPort) bool { return want.ConflictsWith(have) }) {
				holders = append(holders, key)
				break
			}
		}
	}
	slices.Sort(holders)
	if len(holders) == 0 {
		return ""
	}
	return "another host port, or the end of pod " + strings.Join(holders, ", ")
}

// helpResources says what is wanted, free and there.
func helpResources(sig *framework.PodSignature, n *framework.NodeInfo, unresolvable bool) string {
	var parts []string
	add := func(name string, want, used, have int64, scale resource.Scale) {
		if want > 0 && want > have-used {
			text := func(v int64) string {
				format := resource.DecimalSI
				if name == "memory" || name == "ephemeral-storage" {
					format = resource.BinarySI
				}
				q := resource.NewScaledQuantity(v, scale)
				q.Format = format
				return q.String()
			}
			parts = append(parts, fmt.Sprintf("it wants %s %s, %s of %s is free", text(want), name, text(max(0, have-used)), text(have)))
		}
	}
	r, used, have := &sig.Requests, &n.Requested, &n.Allocatable
	add("cpu", r.CPU, used.CPU, have.CPU, resource.Milli)
	add("memory", r.Memory, used.Memory, have.Memory, 0)
	add("ephemeral-storage", r.Storage, used.Storage, have.Storage, 0)
	for name, want := range r.Extended {
		add(string(name), want, used.Extended[name], have.Extended[corev1.ResourceName(name)], 0)
	}
	if used.Pods+r.Pods > have.Pods {
		parts = append(parts, fmt.Sprintf("%d of %d pods are there", used.Pods, have.Pods))
	}
	slices.Sort(parts)
	text := strings.Join(parts, "; ")
	if unresolvable {
		return text + ": smaller requests, or a larger node"
	}
	return text + ": smaller requests, or fewer pods there"
}
