// Package node has the kinds of node.k8s.io: runtime classes.
package node

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/internal/check"
)

// RuntimeClass is the kind of runtime classes.
var RuntimeClass = &schema.Kind{
	Version: schema.Version{
		Group: nodev1.GroupName, Version: "v1", Kind: "RuntimeClass",
		New:     func() schema.Object { return &nodev1.RuntimeClass{} },
		NewList: func() runtime.Object { return &nodev1.RuntimeClassList{} },
		Columns: []metav1.TableColumnDefinition{
			schema.NameColumn(),
			schema.TextColumn("Handler", ""), // Kubernetes has no text for it
			schema.AgeColumn(),
		},
		Row: func(obj schema.Object, now metav1.Time) []any {
			c := obj.(*nodev1.RuntimeClass)
			return []any{c.Name, c.Handler, schema.Age(c.CreationTimestamp, now)}
		},
	},
	Plural: "runtimeclasses", Singular: "runtimeclass",
	UpdateMeta: schema.MetaOfCreateFirst,
	Prefix:     "runtimeclasses",

	CreateOnUpdate: true,
	AnyFinalizers:  true,
	ValidateName:   apivalidation.NameIsDNSSubdomain,

	Validate:       schema.Validation(validateRuntimeClass),
	ValidateUpdate: schema.UpdateValidation(validateRuntimeClassUpdate),
	Warnings:       schema.Warnings(runtimeClassWarnings),
}

// validateRuntimeClass checks that
//   - the handler is a DNS label;
//   - the overhead has names and quantities as the limits of a container;
//   - the node selector has valid labels, the tolerations are valid and none is there twice, whatever its time.
func validateRuntimeClass(c *nodev1.RuntimeClass) field.ErrorList {
	var f check.Errors
	if p := field.NewPath("handler"); f.Set(p, c.Handler) {
		f.Label(p, c.Handler)
	}
	if c.Overhead != nil {
		f.Add(core.ValidateOverhead(c.Overhead.PodFixed, field.NewPath("overhead"))...)
	}
	if s := c.Scheduling; s != nil {
		p := field.NewPath("scheduling")
		if s.NodeSelector != nil {
			f.Add(metavalidation.ValidateLabels(s.NodeSelector, p.Child("nodeSelector"))...)
		}
		list := p.Child("tolerations")
		f.Add(core.ValidateTolerations(s.Tolerations, list)...)
		seen := map[corev1.Toleration]bool{}
		for i, t := range s.Tolerations {
			key := t
			if key.TolerationSeconds = nil; seen[key] {
				f.Duplicate(list.Index(i), check.Quoted(t))
			}
			seen[key] = true
		}
	}
	return f.List
}

func validateRuntimeClassUpdate(c, old *nodev1.RuntimeClass) field.ErrorList {
	var f check.Errors
	f.Add(validateRuntimeClass(c)...)
	f.Same(field.NewPath("handler"), c.Handler, old.Handler)
	return f.List
}

// maxWarnings bounds the warnings of a class.
const maxWarnings = 100

func runtimeClassWarnings(c, _ *nodev1.RuntimeClass) (texts []string) {
	if c.Scheduling == nil {
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(c.Scheduling.NodeSelector)) {
		if text, deprecated := core.NodeLabelDeprecation(key); deprecated && len(texts) < maxWarnings {
			texts = append(texts, fmt.Sprintf("%s: %s", field.NewPath("scheduling", "nodeSelector"), text))
		}
	}
	return texts
}
