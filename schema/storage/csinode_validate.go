package storage

import (
	"fmt"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/core"
	"gantry/schema/internal/check"
)

const maxNodeID = 256 // bytes

var driversPath = specPath.Child("drivers")

// validateCSINode checks that drivers have names that differ, an ID of the node, and labels of the node that differ.
func validateCSINode(n *storagev1.CSINode) field.ErrorList {
	var f check.Errors
	seen := map[string]bool{}
	for i := range n.Spec.Drivers {
		d, p := &n.Spec.Drivers[i], driversPath.Index(i)
		core.CheckDriverName(&f, d.Name, p.Child("name"))
		if id := p.Child("nodeID"); f.Set(id, d.NodeID) && len(d.NodeID) > maxNodeID {
			f.Invalid(id, d.NodeID, fmt.Sprintf("must be %d characters or less", maxNodeID))
		}
		if d.Allocatable != nil && d.Allocatable.Count != nil {
			f.NotNegative(p.Child("allocatable", "count"), int64(*d.Allocatable.Count))
		}
		if seen[d.Name] {
			f.Duplicate(p.Child("name"), d.Name)
		}
		seen[d.Name] = true
		checkTopologyKeys(&f, d.TopologyKeys, p)
	}
	return f.List
}

// checkTopologyKeys has errors at p itself, as Kubernetes has them.
func checkTopologyKeys(f *check.Errors, keys []string, p *field.Path) {
	seen := map[string]bool{}
	for _, key := range keys {
		f.Set(p, key)
		if seen[key] {
			f.Duplicate(p, key)
		}
		seen[key] = true
		f.Each(p, key, validation.IsQualifiedName(key))
	}
}

// validateCSINodeUpdate checks that a driver stays as it is, save for how many volumes the node may have of it.
func validateCSINodeUpdate(n, old *storagev1.CSINode) field.ErrorList {
	var f check.Errors
	f.Add(validateCSINode(n)...)
	byName := make(map[string][]storagev1.CSINodeDriver, len(n.Spec.Drivers))
	for _, d := range n.Spec.Drivers {
		d.Allocatable = nil
		byName[d.Name] = append(byName[d.Name], d)
	}
	for _, was := range old.Spec.Drivers {
		was.Allocatable = nil
		for _, is := range byName[was.Name] {
			if !f.Full() && !equality.Semantic.DeepEqual(is, was) {
				f.Invalid(driversPath, check.Quoted(is), apivalidation.FieldImmutableErrorMsg)
			}
		}
	}
	return f.List
}
