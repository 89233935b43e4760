package core

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
)

// Node is the kind of nodes.
var Node = &schema.Kind{
	Group: "", Version: "v1", Kind: "Node",
	Plural: "nodes", Singular: "node", ShortNames: []string{"no"}, Categories: []string{},

	Prefix:  "minions",
	New:     func() schema.Object { return &corev1.Node{} },
	NewList: func() runtime.Object { return &corev1.NodeList{} },

	Columns: nodeColumns, Row: nodeRow,

	HasStatus: true,
	Subresources: []schema.Subresource{
		{Name: "proxy", Kind: "NodeProxyOptions", Verbs: []string{"create", "delete", "get", "patch", "update"}},
		{Name: "status", Kind: "Node", Verbs: []string{"get", "patch", "update"}},
	},
	UnconditionalUpdate: true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	Default:        schema.Do(defaultNode),
	PrepareCreate:  schema.Do(prepareNodeCreate),
	PrepareUpdate:  schema.Do2(prepareNodeUpdate),
	PrepareStatus:  schema.Do2(prepareNodeStatus),
	Validate:       schema.Check(validateNode),
	ValidateUpdate: schema.Check2(validateNodeUpdate),
	ValidateStatus: schema.Check2(validateNodeStatus),
	Warnings:       schema.Warn(nodeWarnings),
	Fields:         nodeFields,
}

func defaultNode(node *corev1.Node) {
	spec, status := &node.Spec, &node.Status
	// podCIDR is the first of podCIDRs; where they differ podCIDR counts, as writers that know only it are older.
	if spec.PodCIDR != "" && (len(spec.PodCIDRs) == 0 || spec.PodCIDRs[0] != spec.PodCIDR) {
		spec.PodCIDRs = []string{spec.PodCIDR}
	}
	if len(spec.PodCIDRs) > 0 {
		spec.PodCIDR = spec.PodCIDRs[0]
	}
	if status.Allocatable == nil {
		status.Allocatable = status.Capacity.DeepCopy()
	}
	roundResources(status.Capacity)
	roundResources(status.Allocatable)
}

// prepareNodeCreate keeps the status: a kubelet registers its node with one.
func prepareNodeCreate(node *corev1.Node) {
	node.Spec.ConfigSource = nil
	node.Status.Config = nil
}

func prepareNodeUpdate(node, old *corev1.Node) {
	node.Status = old.Status
	if old.Spec.ConfigSource == nil {
		node.Spec.ConfigSource = nil
	}
}

func prepareNodeStatus(node, old *corev1.Node) {
	node.Spec = old.Spec
	if old.Status.Config == nil {
		node.Status.Config = nil
	}
}

var nodeFields = []schema.Field{
	schema.FieldOf("spec.unschedulable", func(node *corev1.Node) string { return strconv.FormatBool(node.Spec.Unschedulable) }),
}
