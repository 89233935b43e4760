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
	Version: schema.Version{
		Group: "", Version: "v1", Kind: "Node",
		New:     func() schema.Object { return &corev1.Node{} },
		NewList: func() runtime.Object { return &corev1.NodeList{} },
		Columns: nodeColumns, Row: nodeRow,
		Default: schema.Preparation(defaultNode),
		Fields:  nodeFields,
	},
	Plural: "nodes", Singular: "node", ShortNames: []string{"no"}, Categories: []string{},
	UpdateMeta: schema.MetaOfCreateFirst,

	Prefix: "minions",

	Subresources: []schema.Subresource{
		schema.Status(prepareNodeStatus, validateNodeStatus),
	},
	UnconditionalUpdate: true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	PrepareCreate:  schema.Preparation(prepareNodeCreate),
	PrepareUpdate:  schema.UpdatePreparation(prepareNodeUpdate),
	Validate:       schema.Validation(validateNode),
	ValidateUpdate: schema.UpdateValidation(validateNodeUpdate),
	Warnings:       schema.Warnings(nodeWarnings),
}

func defaultNode(node *corev1.Node) {
	spec, status := &node.Spec, &node.Status
	// podCIDR is the first of podCIDRs; where they differ podCIDR counts, as older writers set only podCIDR.
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
