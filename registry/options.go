package registry

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

const (
	matchExact = "Exact"
	matchNot   = "NotOlderThan"
)

// validateList checks the rules of list options, with Kubernetes' texts.
func validateList(o ListOptions) error {
	var faults field.ErrorList
	at := field.NewPath("resourceVersionMatch")
	if match := o.ResourceVersionMatch; match != "" {
		if o.ResourceVersion == "" {
			faults = append(faults, field.Forbidden(at, "resourceVersionMatch is forbidden unless resourceVersion is provided"))
		}
		if o.Continue != "" {
			faults = append(faults, field.Forbidden(at, "resourceVersionMatch is forbidden when continue is provided"))
		}
		if match != matchExact && match != matchNot {
			faults = append(faults, field.NotSupported(at, match, []string{matchExact, matchNot, ""}))
		}
		if match == matchExact && o.ResourceVersion == "0" {
			faults = append(faults, field.Forbidden(at, `resourceVersionMatch "exact" is forbidden for resourceVersion "0"`))
		}
	}
	return invalidOptions(faults)
}

// validateWatch checks the rules of watch options, with Kubernetes' texts.
func validateWatch(o WatchOptions) error {
	var faults field.ErrorList
	at := field.NewPath("resourceVersionMatch")
	match := o.ResourceVersionMatch
	if o.SendInitialEvents != nil && match != matchNot {
		faults = append(faults, field.Forbidden(at, fmt.Sprintf("sendInitialEvents requires setting resourceVersionMatch to %s", matchNot)))
	}
	if match != "" {
		if o.SendInitialEvents == nil {
			faults = append(faults, field.Forbidden(at, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"))
		}
		if match != matchNot {
			faults = append(faults, field.NotSupported(at, match, []string{matchNot}))
		}
	}
	return invalidOptions(faults)
}

func invalidOptions(faults field.ErrorList) error {
	if len(faults) == 0 {
		return nil
	}
	return &Error{Kind: Invalid, Group: "meta.k8s.io", Resource: "listoptions", KindName: "ListOptions", Fields: faults}
}
