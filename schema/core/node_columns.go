package core

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

var nodeColumns = []metav1.TableColumnDefinition{
	schema.NameColumn(),
	schema.TextColumn("Status", "The status of the node"),
	schema.TextColumn("Roles", "The roles of the node"),
	schema.AgeColumn(),
	schema.TextColumn("Version", corev1.NodeSystemInfo{}.SwaggerDoc()["kubeletVersion"]),
	schema.WideColumn("Internal-IP", corev1.NodeStatus{}.SwaggerDoc()["addresses"]),
	schema.WideColumn("External-IP", corev1.NodeStatus{}.SwaggerDoc()["addresses"]),
	schema.WideColumn("OS-Image", corev1.NodeSystemInfo{}.SwaggerDoc()["osImage"]),
	schema.WideColumn("Kernel-Version", corev1.NodeSystemInfo{}.SwaggerDoc()["kernelVersion"]),
	schema.WideColumn("Container-Runtime", corev1.NodeSystemInfo{}.SwaggerDoc()["containerRuntimeVersion"]),
}

func nodeRow(obj schema.Object, now metav1.Time) []any {
	node := obj.(*corev1.Node)
	info := node.Status.NodeInfo
	return []any{
		node.Name,
		nodeStatus(node),
		schema.OrUnset(strings.Join(nodeRoles(node), ",")),
		schema.Age(node.CreationTimestamp, now),
		info.KubeletVersion,
		nodeAddress(node, corev1.NodeInternalIP),
		nodeAddress(node, corev1.NodeExternalIP),
		orUnknown(info.OSImage),
		kernelText(info),
		orUnknown(info.ContainerRuntimeVersion),
	}
}

// kernelText is "6.1.0 (amd64)", or the version alone where the architecture is not known.
func kernelText(info corev1.NodeSystemInfo) string {
	text := orUnknown(info.KernelVersion)
	if info.Architecture != "" {
		text += " (" + info.Architecture + ")"
	}
	return text
}

// nodeStatus is "Ready", "NotReady,SchedulingDisabled"...
func nodeStatus(node *corev1.Node) string {
	status := "Unknown"
	for _, c := range node.Status.Conditions {
		if c.Type != corev1.NodeReady {
			continue
		}
		status = "NotReady"
		if c.Status == corev1.ConditionTrue {
			status = "Ready"
		}
	}
	if node.Spec.Unschedulable {
		status += ",SchedulingDisabled"
	}
	return status
}

// nodeRoles are those of the labels node-role.kubernetes.io/<role> and kubernetes.io/role, sorted.
func nodeRoles(node *corev1.Node) []string {
	roles := map[string]bool{}
	for key, value := range node.Labels {
		if role, ok := strings.CutPrefix(key, "node-role.kubernetes.io/"); ok && role != "" {
			roles[role] = true
		}
		if key == "kubernetes.io/role" && value != "" {
			roles[value] = true
		}
	}
	return slices.Sorted(maps.Keys(roles))
}

func nodeAddress(node *corev1.Node, t corev1.NodeAddressType) string {
	for _, a := range node.Status.Addresses {
		if a.Type == t {
			return a.Address
		}
	}
	return schema.Unset
}

func orUnknown(text string) string {
	if text == "" {
		return "<unknown>"
	}
	return text
}
